/**
 * Passes on what is typed in a field that exists only to have a phone show its keyboard.
 *
 * All of it goes the same way, text and keys alike, so that an Enter cannot overtake the command before
 * it. Keys of a real keyboard are taken too, should somebody type on one meanwhile.
 */
import { codeOf, isModifier } from "../core/keyRules";
import { difference, FILLING, needsFilling, plain } from "../core/softText";
import { watchForWayOut } from "../core/wayOut";

/**
 * Phones do not say that Backspace is held, but repeat it faster than a finger taps. What comes faster
 * still is no key: a keyboard replaces a word.
 */
const FASTEST_TAP_MS = 80;
const FASTEST_REPEAT_MS = 20;

export type SoftKeyboardPorts = {
  text: (text: string) => void;
  chord: (chord: { codes: readonly string[]; times?: number; isRepeat?: boolean }) => void;
  /** Moves the focus off the field. */
  leave: () => void;
};

export function attachSoftKeyboard(
  field: HTMLTextAreaElement,
  ports: SoftKeyboardPorts,
): () => void {
  const abort = new AbortController();
  const wayOut = watchForWayOut(() => true);
  let before = "";
  let deletedAt = -Infinity;
  /** Whether the last key says that it is still held. */
  let repeats = false;

  const fill = () => {
    field.value = FILLING;
    field.setSelectionRange(FILLING.length, FILLING.length);
    before = FILLING;
  };

  const change = (event: InputEvent) => {
    const { removed, added } = difference(before, field.value);
    before = field.value;
    const text = plain(added);
    if (0 < removed) {
      const gap = event.timeStamp - deletedAt;
      const looksHeld = FASTEST_REPEAT_MS <= gap && gap < FASTEST_TAP_MS;
      const isRepeat = text === "" && (repeats || looksHeld);
      deletedAt = event.timeStamp;
      ports.chord({ codes: ["Backspace"], times: removed, isRepeat });
    }
    if (text !== "") ports.text(text);
    // A word that is still being composed would be lost to the keyboard, which then begins it again.
    if (!event.isComposing && needsFilling(field.value)) fill();
  };

  const press = (event: KeyboardEvent) => {
    const code = codeOf(event);
    repeats = event.repeat;
    if (event.isComposing || event.key === "Process" || code === null) return;
    if (wayOut.key(code, true, event.timeStamp)) return ports.leave();
    if (isModifier(code) || isTyped(event)) return;
    event.preventDefault();
    ports.chord({ codes: [...heldBy(event), code], isRepeat: event.repeat });
  };

  const lift = (event: KeyboardEvent) => {
    const code = codeOf(event);
    if (code !== null && wayOut.key(code, false, event.timeStamp)) ports.leave();
  };

  const on = <E extends Event>(name: string, does: (event: E) => void) =>
    field.addEventListener(name, (event) => does(event as E), { signal: abort.signal });
  on("input", change);
  on("keydown", press);
  on("keyup", lift);
  on("focus", fill);
  on("blur", wayOut.forget);
  return () => abort.abort();
}

/** What changes the text in the field by itself, and is seen there. */
function isTyped(event: KeyboardEvent): boolean {
  const isShortcut = event.ctrlKey || event.altKey || event.metaKey;
  if (isShortcut && !event.getModifierState("AltGraph")) return false;
  return event.key === "Enter" || event.key === "Backspace" || [...event.key].length === 1;
}

const heldBy = ({ ctrlKey, altKey, shiftKey, metaKey }: KeyboardEvent): string[] => [
  ...(ctrlKey ? ["ControlLeft"] : []),
  ...(altKey ? ["AltLeft"] : []),
  ...(shiftKey ? ["ShiftLeft"] : []),
  ...(metaKey ? ["MetaLeft"] : []),
];

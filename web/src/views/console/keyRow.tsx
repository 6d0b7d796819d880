/**
 * Gives a phone the keys that it does not have, and a way to its own keyboard.
 *
 * A key stays down as long as a finger is on it, so that the target repeats it like a real one. A
 * modifier waits for the key after it, since thumbs cannot hold one and press another.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ESCAPE, MODIFIER_CAPS, MORE, ROW, TAB, type Cap } from "../../core/chords";
import { capture } from "../../remote/pointer";
import { startPress } from "../../remote/press";
import { attachSoftKeyboard } from "../../remote/softKeyboard";
import { fitVisibleRoom } from "../../remote/visibleRoom";
import { isTyping } from "../../state/display";
import { keysOf } from "../../state/keys";
import type { Seat } from "../../state/seat";
import { Icon } from "../../ui/icon";
import "./keyRow.css";

export function KeyRow({ seat }: { seat: Seat }) {
  const keys = keysOf(seat);
  const more = useSignal(false);
  const armed = keys.armed.value;
  const held = (cap: Cap) => <Held key={cap.name} cap={cap} hold={keys.hold} tap={keys.chord} />;
  // Who may only watch has nothing to press; until the seat has said so, nobody is known to.
  if (seat.me.value?.privileges.includes("input") === false) return null;
  return (
    <div
      class="keyrow"
      role="group"
      aria-label="Keys"
      aria-disabled={seat.unavailable.value !== null}
      title={seat.unavailable.value ?? undefined}
    >
      <SoftKeyboard seat={seat} />
      {[ESCAPE, TAB].map(held)}
      {MODIFIER_CAPS.map(({ name, codes: [code = ""] }) => (
        <button
          type="button"
          key={name}
          aria-pressed={armed.includes(code)}
          onPointerDown={keepFocus}
          onClick={() => keys.toggle(code)}
        >
          {name}
        </button>
      ))}
      <button
        type="button"
        title="More keys"
        aria-pressed={more.value}
        onPointerDown={keepFocus}
        onClick={() => (more.value = !more.value)}
      >
        Fn
      </button>
      {(more.value ? MORE : ROW).map(held)}
    </div>
  );
}

/** The screen or the field keeps the focus, and with it the other keys that are held. */
const keepFocus = (event: Event) => event.preventDefault();

type HeldProps = {
  cap: Cap;
  hold: (code: string) => () => void;
  tap: (chord: Cap) => void;
};

function Held({ cap, hold, tap }: HeldProps) {
  const { name, label, codes } = cap;
  const press = useMemo(() => startPress(() => hold(codes[0] ?? "")), [hold, codes]);
  useEffect(() => press.cancel, [press]);
  return (
    <button
      type="button"
      aria-label={name === label ? undefined : name}
      onPointerDown={(event) => {
        keepFocus(event);
        capture(event.currentTarget, event);
        press.down(event.pointerType === "touch" && scrolls(event.currentTarget.parentElement));
      }}
      onPointerUp={press.up}
      onPointerCancel={press.cancel}
      onLostPointerCapture={press.cancel}
      // No pointer was involved: a keyboard or a screen reader pressed the button.
      onClick={(event) => event.detail === 0 && tap(cap)}
      onContextMenu={(event) => event.preventDefault()}
    >
      {label}
    </button>
  );
}

const scrolls = (row: HTMLElement | null) => row !== null && row.clientWidth < row.scrollWidth;

/** Opens and closes the phone's keyboard, by a field that nobody sees. */
function SoftKeyboard({ seat }: { seat: Seat }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (field.current === null) return undefined;
    const { text, chord } = keysOf(seat);
    const leave = () => button.current?.focus();
    const undoKeyboard = attachSoftKeyboard(field.current, { text, chord, leave });
    const undoRoom = fitVisibleRoom(document.documentElement);
    return () => {
      undoKeyboard();
      undoRoom();
      isTyping.value = false;
    };
  }, [seat]);

  return (
    <>
      <button
        type="button"
        ref={button}
        aria-label="Keyboard"
        aria-pressed={isTyping.value}
        onPointerDown={keepFocus}
        onClick={() => {
          if (isTyping.value) field.current?.blur();
          else field.current?.focus({ preventScroll: true });
        }}
      >
        <Icon name="keys" />
      </button>
      <textarea
        ref={field}
        class="soft-field"
        aria-label="Type to the target"
        autocapitalize="off"
        autocomplete="off"
        autocorrect="off"
        spellcheck={false}
        tabIndex={-1}
        rows={1}
        onFocus={() => (isTyping.value = true)}
        onBlur={() => (isTyping.value = false)}
      />
    </>
  );
}

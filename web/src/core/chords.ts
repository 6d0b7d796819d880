/**
 * Lists the keys and chords that people press by buttons.
 *
 * Those of the panel are what a browser, its desktop or a KVM switch keeps for itself; those of the row
 * are what a phone does not have.
 */

export type Chord = {
  name: string;
  codes: readonly string[];
  /** How often it is pressed; once unless it says otherwise. */
  times?: number;
};

/** A key of the row, under the short label that fits there. */
export type Cap = Chord & { label: string };

const chord = (name: string, ...codes: string[]): Chord => ({ name, codes });
const terminal = (n: number) => chord(`Ctrl-Alt-F${n}`, "ControlLeft", "AltLeft", `F${n}`);
const twice = (name: string, code: string): Chord => ({ name, codes: [code], times: 2 });

export const CHORDS: readonly Chord[] = [
  chord("Ctrl-Alt-Del", "ControlLeft", "AltLeft", "Delete"),
  chord("Alt-Tab", "AltLeft", "Tab"),
  chord("Alt-F4", "AltLeft", "F4"),
  terminal(1),
  terminal(2),
  terminal(3),
  chord("Windows key", "MetaLeft"),
  chord("Windows-L", "MetaLeft", "KeyL"),
  chord("Print Screen", "PrintScreen"),
  chord("Scroll Lock", "ScrollLock"),
];

/** What KVM switches listen for, before the number of a computer. */
export const SWITCH_CHORDS: readonly Chord[] = [
  twice("Scroll Lock twice", "ScrollLock"),
  twice("Left Ctrl twice", "ControlLeft"),
  twice("Right Ctrl twice", "ControlRight"),
  twice("Num Lock twice", "NumLock"),
];

export const FUNCTION_KEYS: readonly Chord[] = Array.from({ length: 12 }, (_, index) =>
  chord(`F${index + 1}`, `F${index + 1}`),
);

const cap = (label: string, code: string, name = label): Cap => ({ name, codes: [code], label });

/** Modifiers, which wait for the next key. */
export const MODIFIER_CAPS: readonly Cap[] = [
  cap("Ctrl", "ControlLeft"),
  cap("Alt", "AltLeft"),
  cap("Shift", "ShiftLeft"),
  cap("Win", "MetaLeft"),
];

/** What consoles and set-up screens want. */
export const ROW: readonly Cap[] = [
  cap("F2", "F2"),
  cap("F12", "F12"),
  cap("Del", "Delete"),
  cap("←", "ArrowLeft", "Left"),
  cap("↑", "ArrowUp", "Up"),
  cap("↓", "ArrowDown", "Down"),
  cap("→", "ArrowRight", "Right"),
  cap("⏎", "Enter", "Enter"),
];

/** The keys that take the place of `ROW` when they are asked for. */
export const MORE: readonly Cap[] = [
  ...FUNCTION_KEYS.map(({ name }) => cap(name, name)),
  cap("Home", "Home"),
  cap("End", "End"),
  cap("PgUp", "PageUp"),
  cap("PgDn", "PageDown"),
  cap("⌫", "Backspace", "Backspace"),
  cap("Ins", "Insert"),
  cap("Pause", "Pause"),
  cap("PrtSc", "PrintScreen"),
];

export const ESCAPE = cap("Esc", "Escape");
export const TAB = cap("Tab", "Tab");

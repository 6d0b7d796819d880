/**
 * Lists the key chords that a browser or its desktop keeps for itself.
 *
 * Keys go down in the order written and up in reverse, as fingers do.
 */
import type { ToDaemon } from "./protocol";

export type Chord = {
  name: string;
  codes: readonly string[];
  /** How often it is pressed; once where nothing is said. */
  times?: number;
};

const chord = (name: string, ...codes: string[]): Chord => ({ name, codes });
const terminal = (n: number) => chord(`Ctrl-Alt-F${n}`, "ControlLeft", "AltLeft", `F${n}`);

export const CHORDS: readonly Chord[] = [
  chord("Ctrl-Alt-Del", "ControlLeft", "AltLeft", "Delete"),
  chord("Alt-Tab", "AltLeft", "Tab"),
  chord("Alt-F4", "AltLeft", "F4"),
  terminal(1),
  terminal(2),
  terminal(3),
  chord("Windows key", "MetaLeft"),
  chord("Print Screen", "PrintScreen"),
];

export const FUNCTION_KEYS: readonly Chord[] = Array.from({ length: 12 }, (_, index) =>
  chord(`F${index + 1}`, `F${index + 1}`),
);

/** What set-up screens and boot menus want, for a device that has no keys. */
export const ROW: readonly (Chord & { label: string })[] = [
  { ...chord("Escape", "Escape"), label: "Esc" },
  { ...chord("F2", "F2"), label: "F2" },
  { ...chord("F12", "F12"), label: "F12" },
  { ...chord("Delete", "Delete"), label: "Del" },
  { ...chord("Enter", "Enter"), label: "⏎" },
  { ...chord("Tab", "Tab"), label: "Tab" },
  { ...chord("Left", "ArrowLeft"), label: "←" },
  { ...chord("Up", "ArrowUp"), label: "↑" },
  { ...chord("Down", "ArrowDown"), label: "↓" },
  { ...chord("Right", "ArrowRight"), label: "→" },
];

export function sendChord({ codes }: Chord, send: (message: ToDaemon) => void): void {
  for (const code of codes) send({ type: "key", code, down: true });
  for (const code of [...codes].reverse()) send({ type: "key", code, down: false });
}

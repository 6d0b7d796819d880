/**
 * Holds the short messages that say how something went.
 *
 * A result disappears by itself; a problem stays longer, since it asks for something. The same
 * message twice is one message that stays, so that a held key cannot paper the screen.
 */
import { signal } from "@preact/signals";

const RESULT_MS = 5000;
const PROBLEM_MS = 12_000;

export type Notice = { kind: "result" | "problem"; text: string };

export const notices = signal<readonly Notice[]>([]);
const timers = new Map<string, ReturnType<typeof setTimeout>>();

export function dismiss(text: string): void {
  clearTimeout(timers.get(text));
  timers.delete(text);
  notices.value = notices.value.filter((notice) => notice.text !== text);
}

function say(notice: Notice, ms: number): void {
  const known = notices.value.some(({ text }) => text === notice.text);
  if (!known) notices.value = [...notices.value, notice];
  clearTimeout(timers.get(notice.text));
  timers.set(
    notice.text,
    setTimeout(() => dismiss(notice.text), ms),
  );
}

export const sayResult = (text: string): void => say({ kind: "result", text }, RESULT_MS);
export const sayProblem = (text: string): void => say({ kind: "problem", text }, PROBLEM_MS);

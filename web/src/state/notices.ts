/**
 * Holds the short messages that say how something went.
 *
 * A result disappears by itself; a problem stays longer, since it asks for something. There
 * is one notice about each matter, and news of it takes its place, so that neither a held key nor
 * many keys refused for one reason can paper the screen.
 */
import { signal } from "@preact/signals";

const RESULT_MS = 5000;
const PROBLEM_MS = 12_000;

export type Notice = {
  kind: "result" | "problem";
  text: string;
  /** What it is about; the text itself where nothing else is named. */
  matter: string;
};

export const notices = signal<readonly Notice[]>([]);
const timers = new Map<string, ReturnType<typeof setTimeout>>();

export function dismiss(matter: string): void {
  clearTimeout(timers.get(matter));
  timers.delete(matter);
  notices.value = notices.value.filter((notice) => notice.matter !== matter);
}

function say(notice: Notice, ms: number): void {
  const { matter } = notice;
  const known = notices.value.some((other) => other.matter === matter);
  notices.value = known
    ? notices.value.map((other) => (other.matter === matter ? notice : other))
    : [...notices.value, notice];
  clearTimeout(timers.get(matter));
  timers.set(
    matter,
    setTimeout(() => dismiss(matter), ms),
  );
}

export const sayResult = (text: string): void =>
  say({ kind: "result", text, matter: text }, RESULT_MS);
export const sayProblem = (text: string, matter = text): void =>
  say({ kind: "problem", text, matter }, PROBLEM_MS);

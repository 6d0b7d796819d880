/**
 * Sends what is typed over HTTP in the order in which it was typed.
 *
 * One request is under way at a time, since two could overtake each other; letters that come meanwhile
 * are gathered, so that a fast thumb costs few requests. When one fails, what waits is dropped: half a
 * command with its beginning missing is worse than none. So is what a held key has gathered behind a slow
 * network: the target would go on deleting after the finger is up.
 *
 * Each goes with the time at which it was asked for, by the daemon's clock, so that the daemon can refuse
 * what a stalled network delivers late. To wait until another text has been typed is not to be late: what
 * waited for that counts as asked for when that was done.
 */
import { lengthOf } from "./typing";

export type Step = { text: string } | { chord: readonly string[] };

/** The daemon's limit for one request. */
const LONGEST_TEXT = 1024;
/** More requests than this take seconds, and nobody knows any more what they will do. */
const MOST_WAITING = 100;

export type InTurnPorts = {
  /** The daemon's clock now, as far as it is known. */
  now: () => number | undefined;
  /** Types what was asked for at `at`; gives what the daemon's clock said when that was done. */
  post: (step: Step, at: number | undefined) => Promise<number | undefined>;
  /** Why something was not typed, and how many keystrokes that waited behind it were dropped. */
  failed: (cause: unknown, dropped: number) => void;
  /** What waited became too much, and was dropped with what came last. */
  dropped: () => void;
};

/** How often a step is meant, and whether it only says that a key is still held. */
export type Repetition = { times?: number; isRepeat?: boolean };

export type InTurn = {
  type: (step: Step, how?: Repetition) => void;
  /** Whether something is under way, which what is sent elsewhere would overtake. */
  busy: () => boolean;
};

type Asked = { step: Step; at: number | undefined };

const keystrokes = (step: Step) => ("text" in step ? lengthOf(step.text) : 1);

export function inTurn({ now, post, failed, dropped }: InTurnPorts): InTurn {
  const waiting: Asked[] = [];
  let busy = false;

  const drain = async () => {
    if (busy) return;
    busy = true;
    let done = 0;
    for (let asked = waiting.shift(); asked !== undefined; asked = waiting.shift()) {
      const { step, at } = asked;
      try {
        done = (await post(step, at === undefined ? at : Math.max(at, done))) ?? done;
      } catch (cause) {
        const dropped = waiting.reduce((sum, { step }) => sum + keystrokes(step), 0);
        waiting.length = 0;
        failed(cause, dropped);
      }
    }
    busy = false;
  };

  const type: InTurn["type"] = (step, { times = 1, isRepeat = false } = {}) => {
    const last = waiting.at(-1);
    if (isRepeat && last !== undefined && isSame(last.step, step)) return;
    if (last !== undefined && "text" in last.step && "text" in step) {
      const text = last.step.text + step.text;
      // All of it is as old as its beginning.
      if (lengthOf(text) <= LONGEST_TEXT) {
        last.step = { text };
        return;
      }
    }
    if (0 < waiting.length && MOST_WAITING < waiting.length + times) {
      waiting.length = 0;
      dropped();
      return;
    }
    for (let time = 0; time < times; time += 1) waiting.push({ step, at: now() });
    void drain();
  };

  return { type, busy: () => busy };
}

const isSame = (one: Step, other: Step): boolean =>
  "chord" in one && "chord" in other && one.chord.join() === other.chord.join();

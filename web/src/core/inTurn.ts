/**
 * Sends what is typed over HTTP in the order in which it was typed.
 *
 * One request is under way at a time, since two could overtake each other; letters that come meanwhile
 * are gathered, so that a fast thumb costs few requests. When one fails, what waits is dropped: half a
 * command with its beginning missing is worse than none. So is what a held key has gathered behind a slow
 * network: the target would go on deleting after the finger is up.
 */

export type Step = { text: string } | { chord: readonly string[] };

/** The daemon's limit for one request. */
const LONGEST_TEXT = 1024;
/** More requests than this take seconds, and nobody knows any more what they will do. */
const MOST_WAITING = 100;

export type InTurnPorts = {
  post: (step: Step) => Promise<unknown>;
  failed: (cause: unknown) => void;
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

export function inTurn({ post, failed, dropped }: InTurnPorts): InTurn {
  const waiting: Step[] = [];
  let busy = false;

  const drain = async () => {
    if (busy) return;
    busy = true;
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      try {
        await post(step);
      } catch (cause) {
        waiting.length = 0;
        failed(cause);
      }
    }
    busy = false;
  };

  const type: InTurn["type"] = (step, { times = 1, isRepeat = false } = {}) => {
    const last = waiting.at(-1);
    if (isRepeat && last !== undefined && isSame(last, step)) return;
    if (last !== undefined && "text" in last && "text" in step) {
      const text = last.text + step.text;
      // Counted as the daemon counts, in characters.
      if ([...text].length <= LONGEST_TEXT) {
        waiting[waiting.length - 1] = { text };
        return;
      }
    }
    if (0 < waiting.length && MOST_WAITING < waiting.length + times) {
      waiting.length = 0;
      dropped();
      return;
    }
    for (let time = 0; time < times; time += 1) waiting.push(step);
    void drain();
  };

  return { type, busy: () => busy };
}

const isSame = (one: Step, other: Step): boolean =>
  "chord" in one && "chord" in other && one.chord.join() === other.chord.join();

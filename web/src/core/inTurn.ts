/**
 * Sends what is typed over HTTP in the order in which it was typed.
 *
 * One request is under way at a time, since two could overtake each other; letters that come meanwhile
 * are gathered, so that a fast thumb costs few requests. When one fails, what waits is dropped: half a
 * command with its beginning missing is worse than none.
 */

export type Step = { text: string } | { chord: readonly string[] };

/** The daemon's limit for one request. */
const LONGEST_TEXT = 1024;

export type InTurnPorts = {
  post: (step: Step) => Promise<unknown>;
  failed: (cause: unknown) => void;
};

export type InTurn = {
  type: (step: Step) => void;
  /** Whether something is under way, which what is sent elsewhere would overtake. */
  busy: () => boolean;
};

export function inTurn({ post, failed }: InTurnPorts): InTurn {
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

  const type = (step: Step) => {
    const last = waiting.at(-1);
    if (last !== undefined && "text" in last && "text" in step) {
      const text = last.text + step.text;
      // Counted as the daemon counts, in characters.
      if ([...text].length <= LONGEST_TEXT) waiting[waiting.length - 1] = { text };
      else waiting.push(step);
    } else {
      waiting.push(step);
    }
    void drain();
  };

  return { type, busy: () => busy };
}

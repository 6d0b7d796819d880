/**
 * Says how long to wait before trying again, and how long for an answer.
 *
 * Short at first, because most losses are a restart of the daemon, and never longer than a person
 * watching the page is willing to wait.
 */

const FIRST_MS = 250;
const LONGEST_MS = 4000;

export function backoff(): { next: () => number; reset: () => void } {
  let delay = FIRST_MS;
  return {
    next() {
      const now = delay;
      delay = Math.min(delay * 2, LONGEST_MS);
      return now;
    },
    reset() {
      delay = FIRST_MS;
    },
  };
}

/** Three beats of the daemon. */
const SILENCE_MS = 6000;
const LONGEST_SILENCE_MS = 24_000;

/** How long a socket may be silent. */
export type Patience = {
  ms: () => number;
  /** A socket was silent for too long; `sawPicture` tells whether any picture had come on it. */
  lost: (sawPicture: boolean) => void;
  /** A picture came whole this long after whatever came before it. */
  picture: (gapMs: number) => void;
};

/**
 * Nothing can be heard of a picture before it is there whole, so a slow line is silent just like a
 * dead one. Whoever never got a picture waits longer the next time.
 */
export function patience(): Patience {
  let silence = SILENCE_MS;
  return {
    ms: () => silence,
    lost(sawPicture) {
      if (!sawPicture) silence = Math.min(silence * 2, LONGEST_SILENCE_MS);
    },
    picture(gapMs) {
      if (gapMs < SILENCE_MS / 2) silence = SILENCE_MS;
    },
  };
}

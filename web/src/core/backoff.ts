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
const OPENING_MS = 4000;
const LONGEST_OPENING_MS = 16_000;

/** How long a socket may be silent, and how long it may take to open. */
export type Patience = {
  ms: () => number;
  openingMs: () => number;
  opened: () => void;
  /** A socket took too long to open. */
  unopened: () => void;
  /** A socket was silent for too long; `sawPicture` tells whether any picture had come on it. */
  lost: (sawPicture: boolean) => void;
  /** A picture came whole this long after whatever came before it. */
  picture: (gapMs: number) => void;
};

/**
 * Nothing can be heard of a picture before it is there whole, so a slow line is silent just like a
 * dead one. Whoever never got a picture waits longer the next time, and a picture that took long may be
 * followed by one that takes twice as long. A line on which a socket opens slowly is dead just as seldom.
 */
export function patience(): Patience {
  let silence = SILENCE_MS;
  let opening = OPENING_MS;
  return {
    ms: () => silence,
    openingMs: () => opening,
    opened: () => void (opening = OPENING_MS),
    unopened: () => void (opening = Math.min(opening * 2, LONGEST_OPENING_MS)),
    lost(sawPicture) {
      if (!sawPicture) silence = Math.min(silence * 2, LONGEST_SILENCE_MS);
    },
    picture(gapMs) {
      const granted = Math.min(gapMs * 2, LONGEST_SILENCE_MS);
      silence = granted < SILENCE_MS ? SILENCE_MS : Math.max(silence, granted);
    },
  };
}

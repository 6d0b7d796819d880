/**
 * Says how long to wait before trying again.
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

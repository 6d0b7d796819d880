/**
 * Holds a key as long as a finger is on its button.
 *
 * Where the buttons scroll, a finger that comes down may be about to move them. There the key goes down
 * only once the finger has rested, or has come up again; a browser that scrolls cancels the press first.
 */

/** By then a finger that scrolls has moved, and one that holds has not noticed the wait. */
const REST_MS = 100;

export type Press = {
  down: (mayScroll: boolean) => void;
  up: () => void;
  /** The finger did not mean the button, or nobody knows where it is. */
  cancel: () => void;
};

/** `hold` puts the key down, and returns what lifts it. */
export function startPress(hold: () => () => void): Press {
  let lift: (() => void) | null = null;
  let rest: ReturnType<typeof setTimeout> | undefined;

  const begin = () => {
    rest = undefined;
    lift = hold();
  };

  const cancel = () => {
    clearTimeout(rest);
    rest = undefined;
    lift?.();
    lift = null;
  };

  return {
    down(mayScroll) {
      cancel();
      if (mayScroll) rest = setTimeout(begin, REST_MS);
      else begin();
    },
    up() {
      if (rest !== undefined) {
        clearTimeout(rest);
        begin();
      }
      cancel();
    },
    cancel,
  };
}

/**
 * Sends where a pointer is and what it presses.
 *
 * Positions are sent once per animation frame, since the target shows no more than that. A button is
 * sent at once and after its position, because a menu wants to be hovered before it is clicked; that
 * also makes a tap of a finger a click where it fell.
 */
import type { Spot } from "../core/geometry";
import type { ToDaemon } from "../core/protocol";

export type Pointing = {
  /** What is pressed here, whether or not the target has been told. */
  buttons: () => number;
  move: (to: Spot) => void;
  /** Changes the buttons, at a place. */
  press: (at: Spot, buttons: number) => void;
  /** Releases all buttons where the pointer was last. */
  lose: () => void;
  /**
   * The daemon has released the buttons, or never heard of them. Until all have been up once they stay
   * up on the target: pressed again by the next move they would drag something else.
   */
  forgotten: () => void;
  /** Sends what waits for the next frame, before something that must come after it. */
  flush: () => void;
  undo: () => void;
};

export function startPointing(send: (message: ToDaemon) => void): Pointing {
  let buttons = 0;
  let sent: Spot | null = null;
  let waiting: Spot | null = null;
  let frame = 0;
  let isForgotten = false;

  const put = ({ x, y }: Spot) =>
    send({ type: "pointer", x, y, buttons: isForgotten ? 0 : buttons });

  const set = (next: number) => {
    buttons = next;
    if (next === 0) isForgotten = false;
  };

  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (waiting === null) return;
    const to = waiting;
    const moved = sent === null || sent.x !== to.x || sent.y !== to.y;
    sent = to;
    waiting = null;
    if (moved) put(to);
  };

  return {
    buttons: () => buttons,
    move(to) {
      waiting = to;
      frame ||= requestAnimationFrame(flush);
    },
    press(at, next) {
      waiting = at;
      flush();
      set(next);
      put(at);
    },
    lose() {
      flush();
      if (buttons === 0) return;
      set(0);
      if (sent !== null) put(sent);
    },
    forgotten: () => void (isForgotten = buttons !== 0),
    flush,
    undo: () => cancelAnimationFrame(frame),
  };
}

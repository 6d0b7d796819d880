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
  buttons: () => number;
  move: (to: Spot) => void;
  /** Changes the buttons, at a place. */
  press: (at: Spot, buttons: number) => void;
  /** Releases all buttons where the pointer was last. */
  lose: () => void;
  /** Sends what waits for the next frame, before something that must come after it. */
  flush: () => void;
  undo: () => void;
};

export function startPointing(send: (message: ToDaemon) => void): Pointing {
  let buttons = 0;
  let sent: Spot | null = null;
  let waiting: Spot | null = null;
  let frame = 0;

  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (waiting === null) return;
    const { x, y } = waiting;
    const moved = sent === null || sent.x !== x || sent.y !== y;
    sent = waiting;
    waiting = null;
    if (moved) send({ type: "pointer", x, y, buttons });
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
      buttons = next;
      send({ type: "pointer", x: at.x, y: at.y, buttons });
    },
    lose() {
      flush();
      if (buttons === 0) return;
      buttons = 0;
      if (sent !== null) send({ type: "pointer", x: sent.x, y: sent.y, buttons });
    },
    flush,
    undo: () => cancelAnimationFrame(frame),
  };
}

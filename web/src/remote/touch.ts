/**
 * Carries out what fingers on the screen mean: on the target, or on how its picture is seen.
 *
 * Two fingers turn the target's wheel, or move an enlarged picture as far as it goes. Which of the two
 * is decided when they begin, so that a picture pushed to its edge does not suddenly turn the wheel.
 */
import { settle, zoom, type Point, type Size, type View } from "../core/geometry";
import type { ToDaemon } from "../core/protocol";
import { touches, type TouchAction } from "../core/touch";
import { gatherFingers } from "../core/wheel";
import { capture, spot, type Attached } from "./pointer";
import { startPointing } from "./pointing";

export type TouchPorts = {
  /** The size of what is shown. */
  picture: () => Size;
  view: () => View;
  /** Shows the picture in another way. */
  show: (view: View) => void;
  send: (message: ToDaemon) => void;
  /** Holds what else belongs to a click, such as a Ctrl, until the returned undo is called. */
  holdArmed: () => () => void;
};

export function attachTouch(target: HTMLElement, ports: TouchPorts): Attached {
  const abort = new AbortController();
  const fingers = touches();
  const pointing = startPointing(ports.send);
  let gather = gatherFingers();
  let scrolls: "picture" | "wheel" | null = null;
  let lift = (): void => undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const at = ({ x, y }: Point) => spot(target, ports, { clientX: x, clientY: y });

  /** What a view becomes where nothing may be seen next to the picture. */
  const settled = (view: View): View => {
    const box = target.getBoundingClientRect();
    return settle(view, box, ports.picture() ?? box);
  };

  const pan = ({ x, y }: Point): View => {
    const view = ports.view();
    return settled({ ...view, x: view.x + x, y: view.y + y });
  };

  const scroll = (by: Point) => {
    if (scrolls === null) {
      const [before, after] = [ports.view(), pan(by)];
      const moves = Math.abs(by.y) < Math.abs(by.x) ? after.x !== before.x : after.y !== before.y;
      scrolls = moves ? "picture" : "wheel";
    }
    if (scrolls === "picture") return ports.show(pan(by));
    const turn = gather(by);
    if (turn === null) return;
    pointing.flush();
    ports.send({ type: "wheel", ...turn });
  };

  const pinch = ({ factor, at: middle, by }: TouchAction & { do: "pinch" }) => {
    const { left, top } = target.getBoundingClientRect();
    const about = { x: middle.x - left, y: middle.y - top };
    ports.show(settled(zoom(ports.view(), factor, about, by)));
  };

  const carryOut = (action: TouchAction) => {
    switch (action.do) {
      case "point": {
        const to = at(action.at);
        // Outside the picture there is nothing to point at, but a drag may leave it.
        if (to.inside || pointing.buttons() !== 0) pointing.move(to);
        break;
      }
      case "press": {
        const where = at(action.at);
        if (!where.inside) break;
        lift = ports.holdArmed();
        pointing.press(where, action.button);
        break;
      }
      case "lift":
        if (pointing.buttons() === 0) break;
        pointing.press(at(action.at), 0);
        lift();
        break;
      case "scroll":
        scroll(action.by);
        break;
      case "pinch":
        pinch(action);
    }
  };

  const settleUp = () => {
    for (let action = fingers.poll(); action !== undefined; action = fingers.poll())
      carryOut(action);
  };

  /** Comes back at the deadline, which is in the time of the events. */
  const wait = (now: number) => {
    clearTimeout(timer);
    const due = fingers.deadline();
    if (due === null) return;
    timer = setTimeout(() => {
      fingers.tick(due);
      settleUp();
      wait(due);
    }, due - now);
  };

  const on = (name: string, does: (event: PointerEvent, at: Point) => void) => {
    const hear = (event: Event) => {
      const touch = event as PointerEvent;
      if (touch.pointerType !== "touch") return;
      touch.preventDefault();
      does(touch, { x: touch.clientX, y: touch.clientY });
      settleUp();
      wait(touch.timeStamp);
    };
    target.addEventListener(name, hear, { signal: abort.signal });
  };
  on("pointerdown", (event, point) => {
    if (event.isPrimary) {
      gather = gatherFingers();
      scrolls = null;
    }
    // The field of the soft keyboard keeps the focus, or each tap would close the keyboard.
    if (target.ownerDocument.activeElement?.tagName !== "TEXTAREA") {
      target.focus({ preventScroll: true });
    }
    capture(target, event);
    fingers.down(event.pointerId, point, event.timeStamp);
  });
  on("pointermove", (event, point) => fingers.move(event.pointerId, point, event.timeStamp));
  on("pointerup", (event, point) => fingers.up(event.pointerId, point, event.timeStamp));
  on("pointercancel", (event) => fingers.cancel(event.pointerId));
  // After a pointerup it says nothing new; without one it is all there is.
  on("lostpointercapture", (event) => fingers.cancel(event.pointerId));
  // The mouse events that browsers make of a touch would move the focus, and a double tap would zoom.
  const refuse = (event: Event) => {
    if (event.cancelable) event.preventDefault();
  };
  target.addEventListener("touchend", refuse, { signal: abort.signal, passive: false });
  return {
    forgotten: pointing.forgotten,
    undo() {
      clearTimeout(timer);
      pointing.undo();
      abort.abort();
    },
  };
}

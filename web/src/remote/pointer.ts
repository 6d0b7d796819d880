/**
 * Turns pointer and wheel events into messages about an absolute pointer.
 *
 * Positions are sent once per animation frame, since the target shows no more than that. A button is
 * sent at once and after its position, because a menu wants to be hovered before it is clicked; that
 * also makes a tap of a finger a click where it fell.
 */
import { locate, type Size, type Spot } from "../core/geometry";
import type { Platform } from "../core/keyRules";
import type { ToDaemon } from "../core/protocol";
import { gatherWheel } from "../core/wheel";

/** The five that the protocol knows; more, such as the 32 of a pen's eraser, would end the socket. */
const BUTTONS = 31;

export type PointerPorts = {
  /** The size of what is shown, or null before the first picture. */
  picture: () => Size | null;
  send: (message: ToDaemon) => void;
  platform: Platform;
};

export function attachPointer(target: HTMLElement, ports: PointerPorts): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  const gather = gatherWheel(ports.platform);
  let buttons = 0;
  let sent: Spot | null = null;
  let waiting: Spot | null = null;
  let frame = 0;
  // A press that began beside the picture belongs to nobody until it ends.
  let beside = false;

  const spot = (event: MouseEvent): Spot => {
    const box = target.getBoundingClientRect();
    // Input never depends on a picture: before the first one the whole element stands for it.
    return locate(box, ports.picture() ?? box, event.clientX, event.clientY);
  };

  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (waiting === null) return;
    const { x, y } = waiting;
    const moved = sent === null || sent.x !== x || sent.y !== y;
    sent = waiting;
    waiting = null;
    if (moved) ports.send({ type: "pointer", x, y, buttons });
  };

  const follow = (event: PointerEvent) => {
    if (!event.isPrimary) return;
    event.preventDefault();
    const at = spot(event);
    const down = event.buttons & BUTTONS;
    if (down === 0) beside = false;
    else if (buttons === 0 && event.type === "pointerdown" && !at.inside) beside = true;
    const pressed = beside ? 0 : down;
    waiting = at;
    if (pressed === buttons) {
      frame ||= requestAnimationFrame(flush);
      return;
    }
    flush();
    buttons = pressed;
    ports.send({ type: "pointer", x: at.x, y: at.y, buttons });
  };

  const press = (event: PointerEvent) => {
    target.focus({ preventScroll: true });
    // A drag that leaves the screen must still end on it.
    target.setPointerCapture(event.pointerId);
    follow(event);
  };

  const lose = () => {
    flush();
    if (buttons === 0) return;
    buttons = 0;
    if (sent !== null) ports.send({ type: "pointer", x: sent.x, y: sent.y, buttons });
  };

  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const turn = gather(event);
    if (turn === null) return;
    flush();
    ports.send({ type: "wheel", ...turn });
  };

  const refuse = (event: Event) => event.preventDefault();

  target.addEventListener("pointermove", follow, { signal });
  target.addEventListener("pointerdown", press, { signal });
  target.addEventListener("pointerup", follow, { signal });
  target.addEventListener("pointercancel", lose, { signal });
  target.addEventListener("lostpointercapture", lose, { signal });
  target.addEventListener("wheel", wheel, { signal, passive: false });
  target.addEventListener("contextmenu", refuse, { signal });
  // The side buttons would walk through the browser's history.
  target.addEventListener("mouseup", refuse, { signal });
  target.addEventListener("dragstart", refuse, { signal });
  return () => {
    cancelAnimationFrame(frame);
    abort.abort();
  };
}

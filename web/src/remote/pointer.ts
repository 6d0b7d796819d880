/**
 * Turns events of mice and pens into messages about an absolute pointer.
 *
 * Fingers are left to remote/touch.ts, since what they mean is not what they press.
 */
import { enlarge, locate, type Size, type Spot, type View } from "../core/geometry";
import type { ToDaemon } from "../core/protocol";
import { gatherWheel, type Wheels } from "../core/wheel";
import { startPointing } from "./pointing";

/** The five that the protocol knows; more, such as the 32 of a pen's eraser, would end the socket. */
const BUTTONS = 31;

export type PointerPorts = {
  /** The size of what is shown. */
  picture: () => Size;
  view: () => View;
  send: (message: ToDaemon) => void;
  wheels: Wheels;
};

/** What an attached pointer or touch screen offers; see `Pointing`. */
export type Attached = { forgotten: () => void; undo: () => void };

export function attachPointer(target: HTMLElement, ports: PointerPorts): Attached {
  const abort = new AbortController();
  const { signal } = abort;
  const gather = gatherWheel(ports.wheels);
  const pointing = startPointing(ports.send);
  /** Whose buttons are down; all else that moves meanwhile is ignored. */
  let holder: number | null = null;
  // A press that began outside the picture belongs to nobody until it ends.
  let beside = false;

  const isOurs = ({ pointerId, pointerType, isPrimary }: PointerEvent) =>
    pointerType !== "touch" && isPrimary && (holder === null || holder === pointerId);

  const follow = (event: PointerEvent) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    const at = spot(target, ports, event);
    const down = event.buttons & BUTTONS;
    if (down === 0) beside = false;
    else if (pointing.buttons() === 0 && event.type === "pointerdown" && !at.inside) beside = true;
    const pressed = beside ? 0 : down;
    holder = pressed === 0 ? null : event.pointerId;
    if (pressed === pointing.buttons()) pointing.move(at);
    else pointing.press(at, pressed);
  };

  const press = (event: PointerEvent) => {
    if (!isOurs(event)) return;
    target.focus({ preventScroll: true });
    capture(target, event);
    follow(event);
  };

  const lose = (event: PointerEvent) => {
    if (holder !== event.pointerId) return;
    holder = null;
    pointing.lose();
  };

  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const turn = gather(event);
    if (turn === null) return;
    pointing.flush();
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
  return {
    forgotten: pointing.forgotten,
    undo() {
      pointing.undo();
      abort.abort();
    },
  };
}

type Shown = Pick<PointerPorts, "picture" | "view">;

/** What is under a point of the page. */
export function spot(
  target: HTMLElement,
  { picture, view }: Shown,
  at: { clientX: number; clientY: number },
): Spot {
  const box = target.getBoundingClientRect();
  return locate(enlarge(box, view()), picture(), at.clientX, at.clientY);
}

/** Has a pointer's events come here even from outside: a drag that leaves the screen must still end on it. */
export function capture(target: HTMLElement, { pointerId }: PointerEvent): void {
  try {
    target.setPointerCapture(pointerId);
  } catch {
    // The pointer is gone already, and with it what could be captured.
    return;
  }
}

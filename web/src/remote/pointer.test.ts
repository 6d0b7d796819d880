import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WHOLE, type View } from "../core/geometry";
import type { ToDaemon } from "../core/protocol";
import { attachPointer } from "./pointer";

let drawn: (() => void) | null = null;

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", (does: () => void) => {
    drawn = does;
    return 1;
  });
  vi.stubGlobal("cancelAnimationFrame", () => (drawn = null));
});
afterEach(() => void vi.unstubAllGlobals());

/** A screen of 200 by 100 that shows a picture of 100 by 100 in its middle, without a browser. */
function screen(view: View = WHOLE, hear = (_forgotten: () => void, _message: ToDaemon) => {}) {
  const target = Object.assign(new EventTarget(), {
    getBoundingClientRect: () => ({ left: 0, top: 0, width: 200, height: 100 }),
    setPointerCapture: (id: number) => {
      if (id === 0) throw new DOMException("no such pointer", "NotFoundError");
    },
    focus: () => undefined,
  });
  const sent: ToDaemon[] = [];
  const { forgotten } = attachPointer(target as unknown as HTMLElement, {
    picture: () => ({ width: 100, height: 100 }),
    view: () => view,
    send: (message) => {
      sent.push(message);
      hear(() => forgotten(), message);
    },
    wheels: { platform: "other", isFirefox: false },
  });
  const fire = (name: string, fields: object) => {
    const event = Object.assign(new Event(name, { cancelable: true }), { isPrimary: true }, fields);
    target.dispatchEvent(event);
    return event;
  };
  const pointer = (name: string, clientX: number, clientY: number, buttons: number) =>
    fire(`pointer${name}`, { clientX, clientY, buttons, pointerId: 1, pointerType: "mouse" });
  /** Messages since the last call, positions as picture pixels. */
  const said = () =>
    sent.splice(0).map((message) => {
      if (message.type !== "pointer") return message;
      const pixel = (value: number) => Math.floor((value / 32768) * 100);
      return `${pixel(message.x)},${pixel(message.y)} ${message.buttons}`;
    });
  const draw = () => drawn?.();
  return { fire, pointer, said, draw, forgotten };
}

test("many moves in one animation frame are one message, the last", () => {
  const { pointer, said, draw } = screen();
  pointer("move", 60, 10, 0);
  pointer("move", 70, 20, 0);
  expect(said()).toEqual([]);
  draw();
  expect(said()).toEqual(["20,20 0"]);
});

test("a press is sent at once, after its position", () => {
  const { pointer, said } = screen();
  pointer("move", 60, 10, 0);
  pointer("down", 75, 30, 1);
  pointer("up", 75, 30, 0);
  expect(said()).toEqual(["25,30 0", "25,30 1", "25,30 0"]);
});

test("a second button in the middle of a drag arrives as a move and is sent at once", () => {
  const { pointer, said } = screen();
  pointer("down", 75, 30, 1);
  said();
  pointer("move", 76, 30, 3);
  expect(said()).toEqual(["26,30 1", "26,30 3"]);
});

test("a press beside the picture is nobody's, a drag out of it ends at the edge", () => {
  const { pointer, said } = screen();
  pointer("down", 10, 50, 1);
  pointer("move", 60, 50, 1);
  pointer("up", 60, 50, 0);
  expect(said().every((message) => String(message).endsWith(" 0"))).toBe(true);
  pointer("down", 60, 50, 1);
  said();
  pointer("up", 500, 50, 0);
  expect(said()).toEqual(["99,50 1", "99,50 0"]);
});

test("a cancelled press ends where it was", () => {
  const { fire, pointer, said } = screen();
  pointer("down", 60, 50, 1);
  said();
  pointer("cancel", 0, 0, 0);
  fire("lostpointercapture", { pointerId: 1, clientX: 0, clientY: 0 });
  expect(said()).toEqual(["10,50 0"]);
});

test("the wheel turns where the pointer is", () => {
  const { fire, pointer, said } = screen();
  pointer("move", 60, 50, 0);
  const event = fire("wheel", { deltaX: 0, deltaY: 100, deltaMode: 0 });
  expect(event.defaultPrevented).toBe(true);
  expect(said()).toEqual(["10,50 0", { type: "wheel", dx: 0, dy: -1 }]);
});

test("a pen that comes near does not end what the mouse drags", () => {
  const { fire, pointer, said } = screen();
  const pen = (name: string, buttons: number) =>
    fire(name, { clientX: 90, clientY: 90, buttons, pointerId: 2, pointerType: "pen" });
  pointer("down", 60, 10, 1);
  said();
  pen("pointermove", 0);
  pen("pointerdown", 1);
  pen("pointerup", 0);
  pen("lostpointercapture", 0);
  pen("pointercancel", 0);
  expect(said()).toEqual([]);
  pointer("up", 60, 10, 0);
  expect(said()).toEqual(["10,10 0"]);
});

test("a pointer that is gone before it can be captured is pressed all the same", () => {
  const { fire, said } = screen();
  fire("pointerdown", { clientX: 60, clientY: 50, buttons: 1, pointerId: 0, pointerType: "mouse" });
  expect(said()).toEqual(["10,50 0", "10,50 1"]);
});

test("fingers are none of its business", () => {
  const { fire, said } = screen();
  fire("pointerdown", { clientX: 60, clientY: 50, buttons: 1, pointerId: 2, pointerType: "touch" });
  expect(said()).toEqual([]);
});

test("in an enlarged picture the pointer is where it is seen", () => {
  const { pointer, said, draw } = screen({ scale: 2, x: -100, y: -50 });
  pointer("move", 100, 50, 0);
  pointer("move", 110, 40, 0);
  draw();
  expect(said()).toEqual(["55,45 0"]);
});

test("a pen's eraser is no button that the daemon knows", () => {
  const { pointer, said } = screen();
  pointer("move", 60, 10, 0);
  pointer("down", 75, 30, 32);
  pointer("move", 75, 30, 33);
  expect(said()).toEqual(["25,30 0", "25,30 1"]);
});

test("a press that the daemon did not hear of, or has released, is not made by the next move", () => {
  const { pointer, said, draw, forgotten } = screen();
  pointer("down", 60, 10, 1);
  forgotten();
  said();
  pointer("move", 70, 20, 1);
  draw();
  pointer("move", 70, 20, 3);
  pointer("move", 70, 20, 2);
  pointer("up", 70, 20, 0);
  expect(said()).toEqual(["20,20 0", "20,20 0", "20,20 0", "20,20 0"]);
  pointer("down", 70, 20, 1);
  pointer("cancel", 70, 20, 0);
  forgotten();
  pointer("down", 70, 20, 1);
  expect(said()).toEqual(["20,20 1", "20,20 0", "20,20 1"]);
});

test("a press that is dropped as it is sent counts as unheard", () => {
  const { pointer, said, draw } = screen(WHOLE, (forgotten, { type }) => {
    if (type === "pointer") forgotten();
  });
  pointer("down", 60, 10, 1);
  said();
  pointer("move", 70, 20, 1);
  draw();
  expect(said()).toEqual(["20,20 0"]);
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
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
function screen() {
  const target = Object.assign(new EventTarget(), {
    getBoundingClientRect: () => ({ left: 0, top: 0, width: 200, height: 100 }),
    setPointerCapture: () => undefined,
    focus: () => undefined,
  });
  const sent: ToDaemon[] = [];
  attachPointer(target as unknown as HTMLElement, {
    picture: () => ({ width: 100, height: 100 }),
    send: (message) => sent.push(message),
    platform: "other",
  });
  const fire = (name: string, fields: object) => {
    const event = Object.assign(new Event(name, { cancelable: true }), { isPrimary: true }, fields);
    target.dispatchEvent(event);
    return event;
  };
  const pointer = (name: string, clientX: number, clientY: number, buttons: number) =>
    fire(`pointer${name}`, { clientX, clientY, buttons, pointerId: 1 });
  /** Messages since the last call, positions as picture pixels. */
  const said = () =>
    sent.splice(0).map((message) => {
      if (message.type !== "pointer") return message;
      const pixel = (value: number) => Math.floor((value / 32768) * 100);
      return `${pixel(message.x)},${pixel(message.y)} ${message.buttons}`;
    });
  const draw = () => drawn?.();
  return { fire, pointer, said, draw };
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

test("a cancelled touch lets go where it was", () => {
  const { pointer, said } = screen();
  pointer("down", 60, 50, 1);
  said();
  pointer("cancel", 0, 0, 0);
  pointer("cancel", 0, 0, 0);
  expect(said()).toEqual(["10,50 0"]);
});

test("the wheel turns where the pointer is", () => {
  const { fire, pointer, said } = screen();
  pointer("move", 60, 50, 0);
  const event = fire("wheel", { deltaX: 0, deltaY: 100, deltaMode: 0 });
  expect(event.defaultPrevented).toBe(true);
  expect(said()).toEqual(["10,50 0", { type: "wheel", dx: 0, dy: -1 }]);
});

test("a second finger is ignored", () => {
  const { fire, said } = screen();
  fire("pointerdown", { isPrimary: false, clientX: 60, clientY: 50, buttons: 1, pointerId: 2 });
  expect(said()).toEqual([]);
});

test("a pen's eraser is no button that the daemon knows", () => {
  const { pointer, said } = screen();
  pointer("move", 60, 10, 0);
  pointer("down", 75, 30, 32);
  pointer("move", 75, 30, 33);
  expect(said()).toEqual(["25,30 0", "25,30 1"]);
});

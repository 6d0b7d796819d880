import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import recorded from "../../../tests/data/events/touch.json";
import { WHOLE, type View } from "../core/geometry";
import { attachTouch } from "./touch";

let drawn: (() => void) | null = null;

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(0);
  vi.stubGlobal("requestAnimationFrame", (does: () => void) => {
    drawn = does;
    return 1;
  });
  vi.stubGlobal("cancelAnimationFrame", () => (drawn = null));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

type Recorded = { type: string; id?: number; x?: number; y?: number; timeStamp: number };

/** A phone of 400 by 480 that shows a picture of 100 by 100 from its top, without a browser. */
function screen(first: View = WHOLE) {
  let focused: unknown = null;
  let timesFocused = 0;
  const target = Object.assign(new EventTarget(), {
    getBoundingClientRect: () => ({ left: 0, top: -40, width: 400, height: 480 }),
    setPointerCapture: () => {
      throw new Error("the pointer is gone");
    },
    focus: () => (timesFocused += 1),
    ownerDocument: {
      get activeElement() {
        return focused;
      },
    },
  });
  const frames: string[] = [];
  const armed: string[] = [];
  let view = first;
  const { forgotten } = attachTouch(target as unknown as HTMLElement, {
    picture: () => ({ width: 100, height: 100 }),
    view: () => view,
    show: (next) => {
      view = next;
      frames.push(`view ${next.scale.toFixed(1)}`);
    },
    holdArmed: () => {
      frames.push(...armed.map((code) => `+${code}`));
      const held = armed.splice(0);
      return () => frames.push(...held.map((code) => `-${code}`));
    },
    send: (message) => {
      const pixel = (value: number) => Math.floor((value / 32768) * 100);
      if (message.type === "wheel") frames.push(`wheel ${message.dx},${message.dy}`);
      if (message.type !== "pointer") return;
      frames.push(`${pixel(message.x)},${pixel(message.y)} ${message.buttons}`);
    },
  });
  let primary: number | null = null;
  /** Plays events, with an animation frame after each. */
  const play = (events: readonly Recorded[]) => {
    for (const { type, id, x, y, timeStamp } of events) {
      vi.advanceTimersByTime(Math.max(0, timeStamp - Date.now()));
      drawn?.();
      if (type === "wait") continue;
      if (type === "pointerdown") primary ??= id ?? null;
      const event = Object.assign(new Event(type, { cancelable: true }), {
        pointerType: "touch",
        pointerId: id,
        isPrimary: id === primary,
        clientX: x,
        clientY: y,
      });
      Object.defineProperty(event, "timeStamp", { value: timeStamp });
      target.dispatchEvent(event);
      if (/^pointer(up|cancel)$/.test(type) && id === primary) primary = null;
      drawn?.();
    }
  };
  const focus = (what: unknown) => (focused = what);
  return {
    play,
    frames,
    armed,
    focus,
    forgotten,
    view: () => view,
    timesFocused: () => timesFocused,
  };
}

describe("as browsers send it", () => {
  test.each(recorded)("$name", ({ events, frames: expected }) => {
    const { play, frames } = screen();
    play(events);
    expect(frames).toEqual(expected);
  });
});

/** Two fingers, side by side, moved by so much in two steps after the one that tells what they mean. */
function moved(by: { x: number; y: number }): Recorded[] {
  const both = (type: string, timeStamp: number, share: number) =>
    [1, 2].map((id) => {
      const x = 150 + id * 40 + by.x * share;
      return { type, id, x, y: 200 + by.y * share, timeStamp };
    });
  return [
    ...both("pointerdown", 1000, 0),
    ...both("pointermove", 1050, 0.25),
    ...both("pointermove", 1100, 0.6),
    ...both("pointermove", 1150, 1),
    ...both("pointerup", 1200, 1),
  ];
}

test("two fingers move an enlarged picture, and turn the wheel once it is at its edge", () => {
  const { play, frames, view } = screen({ scale: 2, x: 0, y: -440 });
  play(moved({ x: 0, y: 200 }));
  expect(frames.filter((frame) => frame.startsWith("wheel"))).toEqual([]);
  expect(view().y).toBeGreaterThan(-440);
  frames.length = 0;
  for (let time = 0; time < 3; time += 1) play(moved({ x: 0, y: 200 }));
  expect(frames.some((frame) => frame.startsWith("wheel 0,"))).toBe(true);
});

test("fingers that move aside turn the wheel aside", () => {
  const { play, frames } = screen();
  play(moved({ x: -160, y: 0 }));
  expect(frames.filter((frame) => frame.startsWith("wheel"))).toEqual(["wheel 1,0", "wheel 2,0"]);
});

test("an enlarged picture is clicked where it is seen", () => {
  const { play, frames } = screen({ scale: 2, x: -400, y: -80 });
  play([
    { type: "pointerdown", id: 1, x: 200, y: 200, timeStamp: 1000 },
    { type: "pointerup", id: 1, x: 200, y: 200, timeStamp: 1050 },
  ]);
  expect(frames.at(-1)).toBe("75,30 0");
});

test("a tap takes the focus, but not from the field of the soft keyboard", () => {
  const { play, focus, timesFocused } = screen();
  const tap = (timeStamp: number) =>
    play([
      { type: "pointerdown", id: 1, x: 200, y: 200, timeStamp },
      { type: "pointerup", id: 1, x: 200, y: 200, timeStamp: timeStamp + 50 },
    ]);
  tap(1000);
  expect(timesFocused()).toBe(1);
  focus({ tagName: "TEXTAREA" });
  tap(3000);
  expect(timesFocused()).toBe(1);
});

test("a modifier that is armed is held around the next tap", () => {
  const { play, frames, armed } = screen();
  armed.push("ControlLeft");
  for (const timeStamp of [1000, 3000]) {
    play([
      { type: "pointerdown", id: 1, x: 200, y: 200, timeStamp },
      { type: "pointerup", id: 1, x: 200, y: 200, timeStamp: timeStamp + 50 },
    ]);
  }
  expect(frames).toEqual([
    ...["50,50 0", "+ControlLeft", "50,50 1", "50,50 0", "-ControlLeft"],
    ...["50,50 1", "50,50 0"],
  ]);
});

test("a drag that the daemon has released is not begun again where the finger has come since", () => {
  const { play, frames, forgotten } = screen();
  play([
    { type: "pointerdown", id: 1, x: 200, y: 200, timeStamp: 1000 },
    { type: "pointermove", id: 1, x: 200, y: 240, timeStamp: 1200 },
  ]);
  expect(frames.at(-1)).toMatch(/ 1$/);
  forgotten();
  play([
    { type: "pointermove", id: 1, x: 240, y: 240, timeStamp: 1300 },
    { type: "pointerup", id: 1, x: 240, y: 240, timeStamp: 1400 },
  ]);
  expect(frames.slice(-2).every((frame) => frame.endsWith(" 0"))).toBe(true);
});

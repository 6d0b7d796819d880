import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import recorded from "../../../tests/data/events/keyboard.json";
import { platformOf, type Platform } from "../core/keyRules";
import type { ToDaemon } from "../core/protocol";
import { keyEvent } from "../testing/keyEvent";
import { attachKeyboard } from "./keyboard";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A screen element without a browser; `frames` is what went out, as `+KeyA -KeyA`. */
function screen(platform: Platform = "other") {
  const target = new EventTarget();
  let focused = true;
  const document = Object.assign(new EventTarget(), { hasFocus: () => focused });
  const window = new EventTarget();
  const frames: string[] = [];
  const options = { rightControl: true };
  let left = 0;
  const keyboard = attachKeyboard(target, {
    send: (message: ToDaemon) => {
      if (message.type === "key") frames.push(`${message.down ? "+" : "-"}${message.code}`);
      else frames.push(message.type);
    },
    text: (text) => frames.push(`text ${text}`),
    nameless: () => frames.push("nameless"),
    leave: () => (left += 1),
    rightControlLeaves: () => options.rightControl,
    document,
    window,
    platform,
  });
  const fire = (type: string, code: string, more: object = {}) => {
    const event = keyEvent(type, { code, ...more });
    target.dispatchEvent(event);
    return event;
  };
  const focus = (has: boolean) => {
    focused = has;
    if (!has) target.dispatchEvent(new Event("focusout"));
  };
  /** Presses and lifts keys, as `KeyA+ KeyA-`, one each 100 ms, while all flags are raised. */
  let now = 0;
  const flags = { ctrlKey: true, shiftKey: true, altKey: true, metaKey: true };
  const type = (keys: string) => {
    for (const key of keys.split(" ")) {
      now += 100;
      const name = key.endsWith("+") ? "keydown" : "keyup";
      fire(name, key.slice(0, -1), { ...flags, timeStamp: now });
    }
  };
  return {
    ...keyboard,
    target,
    document,
    window,
    frames,
    fire,
    focus,
    type,
    options,
    timesLeft: () => left,
  };
}

describe("as browsers send it", () => {
  type Recorded = { type: string; timeStamp: number; late?: number };
  test.each(recorded)("$name", ({ platform, events, frames: expected }) => {
    const { target, focus, frames } = screen(platformOf(platform));
    vi.setSystemTime(0);
    for (const event of events as readonly Recorded[]) {
      vi.advanceTimersByTime(Math.max(0, event.timeStamp - Date.now()));
      if (event.type === "blur" || event.type === "focus") focus(event.type === "focus");
      else if (event.type !== "wait") target.dispatchEvent(keyEvent(event.type, event));
      vi.advanceTimersByTime(event.late ?? 0);
    }
    expect(frames).toEqual(expected);
  });
});

test("keys are forwarded once and kept from the browser", () => {
  const { fire, frames } = screen();
  expect(fire("keydown", "Tab").defaultPrevented).toBe(true);
  expect(fire("keydown", "Tab", { repeat: true }).defaultPrevented).toBe(true);
  expect(fire("keyup", "Tab").defaultPrevented).toBe(true);
  expect(frames).toEqual(["+Tab", "-Tab"]);
});

test.each(["target focusout", "document visibilitychange", "window pagehide"] as const)(
  "everything is released on %s",
  (what) => {
    const parts = screen();
    parts.fire("keydown", "ShiftLeft");
    const [where, name] = what.split(" ") as ["target" | "document" | "window", string];
    parts[where].dispatchEvent(new Event(name));
    expect(parts.frames).toEqual(["+ShiftLeft", "release"]);
  },
);

test("a Control that is held back is forgotten when the focus is lost", () => {
  const { fire, focus, frames } = screen("windows");
  fire("keydown", "ControlLeft", { key: "Control", ctrlKey: true });
  focus(false);
  vi.advanceTimersByTime(1000);
  expect(frames).toEqual(["release"]);
});

test("after a reconnection what is still held goes down again, and nothing else does", () => {
  const { fire, forgotten, frames } = screen();
  fire("keydown", "ControlLeft", { ctrlKey: true });
  fire("keydown", "ShiftLeft", { ctrlKey: true, shiftKey: true });
  fire("keydown", "KeyX", { ctrlKey: true, shiftKey: true });
  frames.length = 0;
  forgotten();
  fire("keydown", "KeyX", { ctrlKey: true, repeat: true });
  fire("keydown", "KeyX", { ctrlKey: true, repeat: true });
  expect(frames).toEqual(["+ControlLeft", "-ShiftLeft", "+KeyX"]);
});

test("a key that was held before the screen had the focus is not pressed by its repeats", () => {
  const { fire, frames } = screen();
  fire("keydown", "Enter", { repeat: true });
  fire("keyup", "Enter");
  expect(frames).toEqual(["-Enter"]);
});

test("right Control twice leaves the screen with nothing held", () => {
  const { fire, frames, timesLeft } = screen();
  fire("keydown", "ControlRight", { timeStamp: 0, ctrlKey: true });
  fire("keyup", "ControlRight", { timeStamp: 80 });
  fire("keydown", "ControlRight", { timeStamp: 300, ctrlKey: true });
  expect(timesLeft()).toBe(1);
  expect(frames.at(-1)).toBe("release");
});

test("right Control twice, slowly or around another key, is only typing", () => {
  const { fire, timesLeft } = screen();
  fire("keydown", "ControlRight", { timeStamp: 0, ctrlKey: true });
  fire("keyup", "ControlRight", { timeStamp: 80 });
  fire("keydown", "ControlRight", { timeStamp: 900, ctrlKey: true });
  fire("keydown", "KeyC", { timeStamp: 950, ctrlKey: true });
  fire("keyup", "KeyC", { timeStamp: 960, ctrlKey: true });
  fire("keyup", "ControlRight", { timeStamp: 970 });
  fire("keydown", "ControlRight", { timeStamp: 1000, ctrlKey: true });
  expect(timesLeft()).toBe(0);
});

test("right Control twice reaches a KVM switch where it is no way out", () => {
  const { type, options, frames, timesLeft } = screen();
  options.rightControl = false;
  type("ControlRight+ ControlRight- ControlRight+ ControlRight-");
  expect(timesLeft()).toBe(0);
  expect(frames).toEqual(["+ControlRight", "-ControlRight", "+ControlRight", "-ControlRight"]);
});

test("left Control, Alt and Shift leave the screen when they come up and nothing else was pressed", () => {
  const { type, timesLeft, frames } = screen();
  type("ControlLeft+ AltLeft+ ShiftLeft+ AltLeft- ControlLeft-");
  expect(timesLeft()).toBe(0);
  type("ShiftLeft-");
  expect(timesLeft()).toBe(1);
  expect(frames.at(-1)).toBe("release");
});

test.each([
  ["another key", "ControlLeft+ AltLeft+ ShiftLeft+ KeyX+ KeyX- ShiftLeft- AltLeft- ControlLeft-"],
  ["a key before", "KeyX+ ControlLeft+ AltLeft+ ShiftLeft+ ShiftLeft- AltLeft- ControlLeft- KeyX-"],
  ["two of them", "ControlLeft+ AltLeft+ AltLeft- ShiftLeft+ ShiftLeft- ControlLeft-"],
])("left Control, Alt and Shift with %s are the target's", (_, keys) => {
  const { type, timesLeft } = screen();
  type(keys);
  expect(timesLeft()).toBe(0);
});

test("a click under Control, Alt and Shift is no way out", () => {
  const { type, fire, timesLeft } = screen();
  type("ControlLeft+ AltLeft+ ShiftLeft+");
  fire("pointerdown", "", { ctrlKey: true, altKey: true, shiftKey: true });
  type("ShiftLeft- AltLeft- ControlLeft-");
  expect(timesLeft()).toBe(0);
});

test("a page that closes under a held Control asks first", () => {
  const { fire, window } = screen();
  const closing = () => {
    const event = new Event("beforeunload", { cancelable: true });
    window.dispatchEvent(event);
    return event.defaultPrevented;
  };
  expect(closing()).toBe(false);
  fire("keydown", "ControlLeft");
  expect(closing()).toBe(true);
  fire("keyup", "ControlLeft");
  expect(closing()).toBe(false);
});

test("after undo nothing is forwarded", () => {
  const { fire, frames, undo } = screen();
  undo();
  expect(fire("keydown", "KeyA").defaultPrevented).toBe(false);
  expect(frames).toEqual([]);
});

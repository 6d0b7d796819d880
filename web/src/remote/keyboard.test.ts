import { expect, test } from "vitest";
import type { ToDaemon } from "../core/protocol";
import { attachKeyboard } from "./keyboard";

/** A screen element without a browser; `keys` is what went to the daemon, as `+KeyA -KeyA`. */
function screen(capsLockToggles = false) {
  const target = new EventTarget();
  const document = new EventTarget();
  const window = new EventTarget();
  const keys: string[] = [];
  let left = 0;
  const send = (message: ToDaemon) => {
    if (message.type === "key") keys.push(`${message.down ? "+" : "-"}${message.code}`);
    else keys.push(message.type);
  };
  const leave = () => (left += 1);
  const undo = attachKeyboard(target, { send, leave, document, window, capsLockToggles });
  const fire = (name: string, code: string, more: object = {}) => {
    const event = Object.assign(new Event(name, { cancelable: true }), { code, repeat: false });
    for (const [field, value] of Object.entries(more)) {
      Object.defineProperty(event, field, { value });
    }
    target.dispatchEvent(event);
    return event;
  };
  return { target, document, window, keys, undo, fire, timesLeft: () => left };
}

test("keys are forwarded once and kept from the browser", () => {
  const { fire, keys } = screen();
  expect(fire("keydown", "Tab").defaultPrevented).toBe(true);
  expect(fire("keydown", "Tab", { repeat: true }).defaultPrevented).toBe(true);
  expect(fire("keyup", "Tab").defaultPrevented).toBe(true);
  expect(keys).toEqual(["+Tab", "-Tab"]);
});

test("a key without a physical name is not guessed at", () => {
  const { fire, keys } = screen();
  fire("keydown", "");
  fire("keyup", "");
  expect(keys).toEqual([]);
});

test.each(["target blur", "document visibilitychange", "window pagehide"] as const)(
  "everything is released on %s",
  (what) => {
    const parts = screen();
    parts.fire("keydown", "ShiftLeft");
    const [where, name] = what.split(" ") as ["target" | "document" | "window", string];
    parts[where].dispatchEvent(new Event(name));
    expect(parts.keys).toEqual(["+ShiftLeft", "release"]);
  },
);

test("lifting Command lifts what macOS forgot to lift", () => {
  const { fire, keys } = screen();
  fire("keydown", "MetaLeft");
  fire("keydown", "ShiftLeft");
  fire("keydown", "KeyC");
  fire("keyup", "MetaLeft");
  expect(keys).toEqual(["+MetaLeft", "+ShiftLeft", "+KeyC", "-KeyC", "-MetaLeft"]);
});

test("each half of a toggling CapsLock is a whole tap", () => {
  const mac = screen(true);
  mac.fire("keydown", "CapsLock");
  mac.fire("keyup", "CapsLock");
  expect(mac.keys).toEqual(["+CapsLock", "-CapsLock", "+CapsLock", "-CapsLock"]);
  const other = screen();
  other.fire("keydown", "CapsLock");
  other.fire("keyup", "CapsLock");
  expect(other.keys).toEqual(["+CapsLock", "-CapsLock"]);
});

test("right Control twice leaves the screen with nothing held", () => {
  const { fire, keys, timesLeft } = screen();
  fire("keydown", "ControlRight", { timeStamp: 0 });
  fire("keyup", "ControlRight", { timeStamp: 80 });
  fire("keydown", "ControlRight", { timeStamp: 300 });
  expect(timesLeft()).toBe(1);
  expect(keys.at(-1)).toBe("release");
});

test("right Control twice, slowly or around another key, is only typing", () => {
  const { fire, timesLeft } = screen();
  fire("keydown", "ControlRight", { timeStamp: 0 });
  fire("keyup", "ControlRight", { timeStamp: 80 });
  fire("keydown", "ControlRight", { timeStamp: 900 });
  fire("keydown", "KeyC", { timeStamp: 950 });
  fire("keyup", "KeyC", { timeStamp: 960 });
  fire("keyup", "ControlRight", { timeStamp: 970 });
  fire("keydown", "ControlRight", { timeStamp: 1000 });
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
  const { fire, keys, undo } = screen();
  undo();
  expect(fire("keydown", "KeyA").defaultPrevented).toBe(false);
  expect(keys).toEqual([]);
});

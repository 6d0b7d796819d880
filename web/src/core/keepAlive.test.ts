import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keepAlive } from "./keepAlive";
import type { ToDaemon } from "./protocol";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function listen() {
  const sent: ToDaemon[] = [];
  const held = keepAlive({
    send: (message) => sent.push(message),
    every: (ms, does) => {
      const timer = setInterval(does, ms);
      return () => clearInterval(timer);
    },
  });
  const beats = (ms: number) => {
    const before = sent.length;
    vi.advanceTimersByTime(ms);
    return sent.length - before;
  };
  return { held, beats };
}

test("a held key beats four times a second until it goes up", () => {
  const { held, beats } = listen();
  expect(beats(1000)).toBe(0);
  held.send({ type: "key", code: "KeyA", down: true });
  held.send({ type: "key", code: "KeyB", down: true });
  expect(beats(1000)).toBe(4);
  held.send({ type: "key", code: "KeyA", down: false });
  expect(beats(1000)).toBe(4);
  held.send({ type: "key", code: "KeyB", down: false });
  expect(beats(1000)).toBe(0);
});

test("a held button beats too", () => {
  const { held, beats } = listen();
  held.send({ type: "pointer", x: 1, y: 1, buttons: 2 });
  expect(beats(500)).toBe(2);
  held.send({ type: "pointer", x: 1, y: 1, buttons: 0 });
  expect(beats(500)).toBe(0);
});

test("a release or a lost socket ends it", () => {
  const { held, beats } = listen();
  held.send({ type: "key", code: "KeyA", down: true });
  held.send({ type: "release" });
  expect(beats(1000)).toBe(0);
  held.send({ type: "pointer", x: 1, y: 1, buttons: 1 });
  held.forget();
  expect(beats(1000)).toBe(0);
});

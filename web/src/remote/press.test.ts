import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startPress } from "./press";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function pressed() {
  const frames: string[] = [];
  const press = startPress(() => {
    frames.push("+");
    return () => frames.push("-");
  });
  return { ...press, frames };
}

test("a key is down as long as the finger is, and lifted once however often that is said", () => {
  const { down, up, cancel, frames } = pressed();
  down(false);
  expect(frames).toEqual(["+"]);
  up();
  cancel();
  cancel();
  expect(frames).toEqual(["+", "-"]);
});

test("a finger that scrolls the keys types none of them", () => {
  const { down, cancel, frames } = pressed();
  down(true);
  vi.advanceTimersByTime(99);
  cancel();
  vi.advanceTimersByTime(1000);
  expect(frames).toEqual([]);
});

test("where the keys scroll a tap is a tap, and a finger that rests holds", () => {
  const { down, up, frames } = pressed();
  down(true);
  vi.advanceTimersByTime(50);
  up();
  vi.advanceTimersByTime(1000);
  expect(frames).toEqual(["+", "-"]);
  down(true);
  vi.advanceTimersByTime(100);
  expect(frames).toEqual(["+", "-", "+"]);
  up();
  expect(frames).toEqual(["+", "-", "+", "-"]);
});

test("a second finger on the same button lifts the first", () => {
  const { down, frames } = pressed();
  down(false);
  down(false);
  expect(frames).toEqual(["+", "-", "+"]);
});

import { expect, test } from "vitest";
import { gatherWheel } from "./wheel";

const pixels = (deltaY: number, deltaX = 0) => ({ deltaX, deltaY, deltaMode: 0 });

test("small distances wait until they make a detent", () => {
  const gather = gatherWheel();
  expect(gather(pixels(40))).toBeNull();
  expect(gather(pixels(40))).toBeNull();
  expect(gather(pixels(40))).toEqual({ dx: 0, dy: -1 });
  expect(gather(pixels(79))).toBeNull();
  expect(gather(pixels(1))).toEqual({ dx: 0, dy: -1 });
});

test("a change of direction forgets what was left over", () => {
  const gather = gatherWheel();
  expect(gather(pixels(90))).toBeNull();
  expect(gather(pixels(-100))).toEqual({ dx: 0, dy: 1 });
});

test("lines and pages are detents too", () => {
  expect(gatherWheel()({ deltaX: 0, deltaY: -3, deltaMode: 1 })).toEqual({ dx: 0, dy: 1 });
  expect(gatherWheel()({ deltaX: 1, deltaY: 0, deltaMode: 2 })).toEqual({ dx: 1, dy: 0 });
});

test("one report never says more than it can", () => {
  expect(gatherWheel()(pixels(99_999, 99_999))).toEqual({ dx: 127, dy: -127 });
});

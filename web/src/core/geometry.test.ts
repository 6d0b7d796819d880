import { describe, expect, test } from "vitest";
import {
  AXIS_MAX,
  enlarge,
  isSharp,
  locate,
  pictureBox,
  settle,
  WHOLE,
  zoom,
  type View,
} from "./geometry";

/** Each way a system may turn an axis value into a pixel. */
const SYSTEMS: Record<string, (value: number, pixels: number) => number> = {
  "shift by the range": (value, pixels) => Math.floor((value * pixels) / (AXIS_MAX + 1)),
  "share of the maximum": (value, pixels) => Math.floor((value * pixels) / AXIS_MAX),
};

describe("a click", () => {
  const picture = { width: 1920, height: 1080 };

  test.each(Object.keys(SYSTEMS))("lands on each pixel of an unscaled picture: %s", (name) => {
    const system = SYSTEMS[name];
    const box = { left: 13.5, top: 48, width: 1920, height: 1080 };
    for (let pixel = 0; pixel < picture.width; pixel += 1) {
      expect(system?.(locate(box, picture, 13.5 + pixel, 48).x, picture.width)).toBe(pixel);
    }
    for (let pixel = 0; pixel < picture.height; pixel += 1) {
      expect(system?.(locate(box, picture, 13.5, 48 + pixel).y, picture.height)).toBe(pixel);
    }
  });

  test.each([0.25, 0.613, 1.5, 2, 3.07])("is at most half a pixel off at scale %f", (scale) => {
    const box = { left: 7, top: 11, width: 1920 * scale, height: 1080 * scale };
    for (let pixel = 0; pixel < picture.width; pixel += 1) {
      const middle = pixel + 0.5;
      const { x } = locate(box, picture, 7 + middle * scale, 11);
      expect(Math.abs((x / AXIS_MAX) * picture.width - middle)).toBeLessThanOrEqual(0.5);
    }
  });

  test("beyond an edge is on that edge and known to be outside", () => {
    const box = { left: 0, top: 0, width: 800, height: 800 };
    const spot = locate(box, { width: 800, height: 600 }, -20, 790);
    expect(spot).toEqual({ x: 20, y: Math.round((599.5 / 600) * AXIS_MAX), inside: false });
  });
});

test("a wide picture is letterboxed and a tall one pillarboxed", () => {
  const box = { left: 10, top: 20, width: 1000, height: 1000 };
  expect(pictureBox(box, { width: 200, height: 100 })).toEqual({
    left: 10,
    top: 270,
    width: 1000,
    height: 500,
  });
  expect(pictureBox(box, { width: 100, height: 200 })).toEqual({
    left: 260,
    top: 20,
    width: 500,
    height: 1000,
  });
});

test("only whole multiples of the display's pixels are drawn sharp", () => {
  const box = (width: number) => ({ left: 0, top: 0, width, height: 4000 });
  const picture = { width: 720, height: 400 };
  expect(isSharp(box(1440), picture, 1)).toBe(true);
  expect(isSharp(box(720), picture, 2)).toBe(true);
  expect(isSharp(box(1000), picture, 1)).toBe(false);
  expect(isSharp(box(300), picture, 1)).toBe(false);
});

describe("an enlarged picture", () => {
  /** A phone: a picture of 400 by 200 has 100 above and below it. */
  const box = { left: 0, top: 50, width: 400, height: 400 };
  const picture = { width: 800, height: 400 };
  const still = { x: 0, y: 0 };

  test("keeps the pixel between the fingers under them", () => {
    const before = locate(enlarge(box, WHOLE), picture, 120, 50 + 180);
    const view = zoom(WHOLE, 2.5, { x: 120, y: 180 }, still);
    expect(locate(enlarge(box, view), picture, 120, 50 + 180)).toEqual(before);
    const moved = zoom(view, 1, { x: 120, y: 180 }, { x: 30, y: -10 });
    expect(locate(enlarge(box, moved), picture, 150, 50 + 170)).toEqual(before);
  });

  test("is no smaller than the whole and no larger than makes sense", () => {
    expect(zoom(WHOLE, 0.2, { x: 120, y: 180 }, still)).toEqual(WHOLE);
    expect(zoom(WHOLE, 50, { x: 0, y: 0 }, still)).toEqual({ scale: 8, x: 0, y: 0 });
  });

  const settled = (view: View) => {
    const { left, top, width, height } = pictureBox({ ...box, top: 0 }, picture);
    const { scale, x, y } = settle(view, box, picture);
    return {
      left: left * scale + x,
      top: top * scale + y,
      width: width * scale,
      height: height * scale,
    };
  };

  test("has no edge inside the screen where it is larger than that", () => {
    const { left, width, top, height } = settled({ scale: 3, x: 500, y: -9000 });
    expect([left, left + width]).toEqual([0, 1200]);
    expect(top + height).toBe(400);
  });

  test("is in the middle where it is smaller", () => {
    const { top, height } = settled({ scale: 1.5, x: -10, y: 77 });
    expect(top).toBe(400 - top - height);
    expect(settle({ scale: 1, x: 5, y: 5 }, box, picture)).toEqual(WHOLE);
  });
});

import { describe, expect, test } from "vitest";
import recorded from "../../../tests/data/events/wheel.json";
import { platformOf, type Platform } from "./keyRules";
import { gatherWheel, type Scroll } from "./wheel";

type Notch = { deltaY: number; deltaMode: number; wheelDeltaY?: number; pixels?: number };

/** One notch as a browser has it; Firefox answers in pixels whoever asks for the distance first. */
function turned(notch: Notch, direction: 1 | -1, timeStamp: number): Scroll {
  let asked: "unit" | "distance" | null = null;
  const inPixels = () => asked === "distance" && notch.pixels !== undefined;
  return {
    timeStamp,
    deltaX: 0,
    get deltaMode() {
      asked ??= "unit";
      return inPixels() ? 0 : notch.deltaMode;
    },
    get deltaY() {
      asked ??= "distance";
      return direction * ((inPixels() ? notch.pixels : undefined) ?? notch.deltaY);
    },
    ...(notch.wheelDeltaY === undefined ? {} : { wheelDeltaY: direction * notch.wheelDeltaY }),
  };
}

describe("a notch of the wheel is one detent", () => {
  test.each(recorded)("$name", ({ name, platform, notch }) => {
    const gather = gatherWheel({
      platform: platformOf(platform),
      isFirefox: name.startsWith("Firefox"),
    });
    const turns = [1, 1, 1, 1, 1, -1, -1, 1].map((direction, at) =>
      gather(turned(notch, direction === 1 ? 1 : -1, at * 80)),
    );
    const down = { dx: 0, dy: -1 };
    const up = { dx: 0, dy: 1 };
    expect(turns).toEqual([down, down, down, down, down, up, up, down]);
  });
});

const on = (platform: Platform, isFirefox = false) => gatherWheel({ platform, isFirefox });
const pixels = (deltaY: number, deltaX = 0) => ({ deltaX, deltaY, deltaMode: 0, timeStamp: 0 });

test("small distances wait until they make a detent", () => {
  const gather = on("other");
  expect(gather(pixels(40))).toBeNull();
  expect(gather(pixels(40))).toBeNull();
  expect(gather(pixels(40))).toEqual({ dx: 0, dy: -1 });
  expect(gather(pixels(79))).toBeNull();
  expect(gather(pixels(1))).toEqual({ dx: 0, dy: -1 });
});

test("a change of direction forgets what was left over", () => {
  const gather = on("other");
  expect(gather(pixels(90))).toBeNull();
  expect(gather(pixels(-100))).toEqual({ dx: 0, dy: 1 });
});

test("a touchpad on Windows is measured, as Chrome gives its distances", () => {
  const gather = on("windows");
  const turns = [0, 1, 2, 3, 4].map((at) =>
    gather({ ...pixels(21.66), wheelDeltaY: -26, timeStamp: at * 16 }),
  );
  expect(turns).toEqual([null, null, null, null, { dx: 0, dy: -1 }]);
});

test("a touchpad that happens upon the distance of a notch stays a touchpad", () => {
  const gather = on("other");
  expect(gather({ ...pixels(38), wheelDeltaY: -114 })).toBeNull();
  expect(gather({ ...pixels(40), wheelDeltaY: -120, timeStamp: 16 })).toBeNull();
  expect(gather({ ...pixels(40), wheelDeltaY: -120, timeStamp: 32 })).toEqual({ dx: 0, dy: -1 });
});

test("a distance that Firefox gives in pixels is measured, whatever it makes of it", () => {
  // As Firefox 153 has it on Linux.
  expect(on("other", true)({ ...pixels(120), wheelDeltaY: -360 })).toEqual({ dx: 0, dy: -1 });
});

test("a touchpad of a Mac moves whole pixels, and none of them is a step of a wheel", () => {
  const gather = on("mac");
  for (let at = 0; at < 24; at += 1) {
    expect(gather({ ...pixels(4), wheelDeltaY: -12, timeStamp: at * 400 })).toBeNull();
  }
  expect(gather({ ...pixels(4), wheelDeltaY: -12, timeStamp: 9600 })).toEqual({ dx: 0, dy: -1 });
});

test("a long way is more than one detent, and one report never says more than it can", () => {
  const far = { ...pixels(0), deltaY: 300, wheelDeltaY: -360 };
  expect(on("windows")(far)).toEqual({ dx: 0, dy: -3 });
  expect(on("mac")({ ...pixels(MAC_STEP * 100), wheelDeltaY: -1200 })).toEqual({
    dx: 0,
    dy: -4,
  });
  expect(on("other")(pixels(99_999, 99_999))).toEqual({ dx: 127, dy: -127 });
});

test("wheels turn sideways too", () => {
  const sideways = { deltaX: 100, deltaY: 0, deltaMode: 0, wheelDeltaX: -120, timeStamp: 0 };
  expect(on("windows")(sideways)).toEqual({ dx: 1, dy: 0 });
});

const MAC_STEP = 4.000244140625;

import { expect, test } from "vitest";
import { describe, lengthOf, pieces, timeLeft } from "./typing";

test("the time that is left goes by what was measured, and before that by a keyboard's pace", () => {
  expect(timeLeft(0, 420, 0)).toBe("about 10 s");
  expect(timeLeft(100, 300, 10_000)).toBe("about 20 s");
  expect(timeLeft(299, 300, 10_000)).toBe("about 1 s");
  expect(timeLeft(0, 42 * 240, 0)).toBe("about 4 min");
});

test("a character is one whatever UTF-16 makes of it", () => {
  expect(lengthOf("a😀")).toBe(2);
});

const E_ACUTE = { character: "é", name: "e with acute" };

test("a text is parted where what no key types begins and ends", () => {
  expect(pieces("caféé!", [E_ACUTE])).toEqual([
    { text: "caf", isRefused: false },
    { text: "éé", isRefused: true },
    { text: "!", isRefused: false },
  ]);
  expect(pieces("", [E_ACUTE])).toEqual([]);
});

test("what no key types is told with its lines, where there are several", () => {
  expect(describe("café", [E_ACUTE])).toEqual(["“é” (e with acute)"]);
  expect(describe("a\né\né", [E_ACUTE])).toEqual(["“é” (e with acute) in lines 2, 3"]);
  expect(describe("a\né", [{ character: "é", name: "" }])).toEqual(["“é” in line 2"]);
});

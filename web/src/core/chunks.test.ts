import { expect, test } from "vitest";
import { pieces } from "./chunks";

test("a text comes out whole, in pieces no longer than asked", () => {
  const text = "ab😀cdé".repeat(100);
  const cut = pieces(text, 7);
  expect(cut.join("")).toBe(text);
  expect(cut.every((piece) => [...piece].length <= 7)).toBe(true);
});

test("line ends of every kind become one key", () => {
  expect(pieces("a\r\nb\rc\nd")).toEqual(["a\nb\nc\nd"]);
});

test("nothing has no pieces", () => {
  expect(pieces("")).toEqual([]);
});

import { expect, test } from "vitest";
import { chunks } from "./chunks";

test("a text comes out whole, in chunks no longer than asked", () => {
  const text = "ab😀cdé".repeat(100);
  const cut = chunks(text, 7);
  expect(cut.join("")).toBe(text);
  expect(cut.every((chunk) => [...chunk].length <= 7)).toBe(true);
});

test("line ends of every kind become one key", () => {
  expect(chunks("a\r\nb\rc\nd")).toEqual(["a\nb\nc\nd"]);
});

test("nothing has no chunks", () => {
  expect(chunks("")).toEqual([]);
});

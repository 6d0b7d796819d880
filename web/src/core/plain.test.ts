import { expect, test } from "vitest";
import { plain } from "./plain";

test("quotes, dashes and spaces of a word processor become those of a keyboard", () => {
  expect(plain("\u201csudo\u201d \u2018rm\u2019 \u2013f\u00a0\u2014\u202fx\u2026")).toBe(
    "\"sudo\" 'rm' -f - x...",
  );
});

test("what is seen nowhere goes, and what is typed by a key stays", () => {
  expect(plain("\ufeffa\u200bb\u00adc")).toBe("abc");
  const keys = "`~!@#$%^&*()_+-=[]{}\\|;':\",./<>? \t\n";
  expect(plain(keys)).toBe(keys);
});

test("a letter that no key types is nobody's to replace", () => {
  expect(plain("caf\u00e9 \u4e2d")).toBe("caf\u00e9 \u4e2d");
});

import { expect, test } from "vitest";
import { LIMIT, tooHeavy, weigh } from "./weight";

test("what is counted is what travels, of every file", async () => {
  const script = { name: "a.js", content: "again ".repeat(10_000) };
  const style = { name: "a.css", content: new TextEncoder().encode(script.content) };
  const one = await weigh([script]);
  expect(one).toBeGreaterThan(20);
  expect(one).toBeLessThan(1000);
  expect(await weigh([script, style])).toBe(2 * one);
});

test("the limit itself is allowed, a byte more is not", () => {
  expect(tooHeavy(LIMIT)).toBeNull();
  expect(tooHeavy(LIMIT + 1)).toContain(String(LIMIT + 1));
});

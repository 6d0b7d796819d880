import { expect, test } from "vitest";
import { backoff, patience } from "./backoff";

test("waits double up to four seconds and begin again after success", () => {
  const wait = backoff();
  expect([1, 2, 3, 4, 5, 6, 7].map(wait.next)).toEqual([250, 500, 1000, 2000, 4000, 4000, 4000]);
  wait.reset();
  expect(wait.next()).toBe(250);
});

test("a socket that does not open gets twice the time, up to 16 seconds, until one opens", () => {
  const tolerated = patience();
  const waits = [1, 2, 3, 4].map(() => {
    const ms = tolerated.openingMs();
    tolerated.unopened();
    return ms;
  });
  expect(waits).toEqual([4000, 8000, 16_000, 16_000]);
  tolerated.opened();
  expect(tolerated.openingMs()).toBe(4000);
});

test("a picture that took long grants the next one twice as long, until one comes quickly", () => {
  const tolerated = patience();
  const after = (gapMs: number) => {
    tolerated.picture(gapMs);
    return tolerated.ms();
  };
  expect([100, 2900, 5000, 4000, 9000, 20_000].map(after)).toEqual([
    6000, 6000, 10_000, 10_000, 18_000, 24_000,
  ]);
  expect(after(100)).toBe(6000);
});

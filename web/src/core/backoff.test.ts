import { expect, test } from "vitest";
import { backoff } from "./backoff";

test("waits double up to four seconds and begin again after success", () => {
  const wait = backoff();
  expect([1, 2, 3, 4, 5, 6, 7].map(wait.next)).toEqual([250, 500, 1000, 2000, 4000, 4000, 4000]);
  wait.reset();
  expect(wait.next()).toBe(250);
});

import { expect, test } from "vitest";
import { backlog } from "./backlog";

test("nothing that waits has no age", () => {
  const { sent, age } = backlog();
  expect(age(0, 1000)).toBe(0);
  sent(10, 0, 1000);
  expect(age(0, 5000)).toBe(0);
});

test("the oldest message that has not left whole counts", () => {
  const { sent, age } = backlog();
  sent(10, 0, 1000);
  sent(20, 10, 2000);
  sent(30, 30, 3000);
  expect(age(60, 4000)).toBe(3000);
  expect(age(51, 4000)).toBe(3000);
  expect(age(50, 4000)).toBe(2000);
  expect(age(30, 4000)).toBe(1000);
  expect(age(1, 4000)).toBe(1000);
  expect(age(0, 4000)).toBe(0);
  sent(5, 0, 9000);
  expect(age(5, 9100)).toBe(100);
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { dismiss, notices, sayProblem, sayResult } from "./notices";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.runAllTimers();
  vi.useRealTimers();
});

const texts = () => notices.value.map(({ text }) => text);

test("news of the same matter takes the place of the old, and its time begins again", () => {
  sayProblem("F13 is no key of ours", "refused unknown-key");
  sayResult("Saved");
  vi.advanceTimersByTime(4000);
  sayProblem("F14 is no key of ours", "refused unknown-key");
  expect(texts()).toEqual(["F14 is no key of ours", "Saved"]);
  vi.advanceTimersByTime(11_999);
  expect(texts()).toEqual(["F14 is no key of ours"]);
  vi.advanceTimersByTime(1);
  expect(texts()).toEqual([]);
});

test("without another matter the same words are one notice and other words another", () => {
  sayProblem("The relay is busy");
  sayProblem("The relay is busy");
  sayProblem("The relay is stuck");
  expect(texts()).toEqual(["The relay is busy", "The relay is stuck"]);
  dismiss("The relay is busy");
  expect(texts()).toEqual(["The relay is stuck"]);
});

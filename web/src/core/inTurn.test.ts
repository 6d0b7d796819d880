import { expect, test } from "vitest";
import { inTurn, type Step } from "./inTurn";

function typing() {
  const asked: { step: Step; end: () => void; fail: () => void }[] = [];
  const faults: unknown[] = [];
  const { type, busy } = inTurn({
    post: (step) =>
      new Promise<void>((resolve, reject) => {
        asked.push({ step, end: resolve, fail: () => reject(new Error("unplugged")) });
      }),
    failed: (cause) => faults.push(cause),
  });
  /** Lets the promises that follow an answer run; these are more turns than they have. */
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  const answer = async (how: "end" | "fail") => {
    asked.at(-1)?.[how]();
    await settle();
  };
  return { type, busy, answer, steps: () => asked.map(({ step }) => step), faults };
}

test("letters that come while a request is under way make the next one", async () => {
  const { type, busy, answer, steps } = typing();
  expect(busy()).toBe(false);
  for (const letter of "hello") type({ text: letter });
  expect(steps()).toEqual([{ text: "h" }]);
  await answer("end");
  expect(steps()).toEqual([{ text: "h" }, { text: "ello" }]);
  expect(busy()).toBe(true);
  await answer("end");
  expect(busy()).toBe(false);
});

test("keys keep their place between letters", async () => {
  const { type, answer, steps } = typing();
  type({ text: "a" });
  type({ chord: ["Backspace"] });
  type({ chord: ["Backspace"] });
  type({ text: "b" });
  for (let turn = 0; turn < 4; turn += 1) await answer("end");
  expect(steps()).toEqual([
    { text: "a" },
    { chord: ["Backspace"] },
    { chord: ["Backspace"] },
    { text: "b" },
  ]);
});

test("what waits behind a failure is dropped, and what comes later is typed", async () => {
  const { type, answer, steps, faults } = typing();
  type({ text: "a" });
  type({ text: "b" });
  await answer("fail");
  expect(faults).toHaveLength(1);
  type({ text: "c" });
  expect(steps()).toEqual([{ text: "a" }, { text: "c" }]);
});

test("no request is longer than the daemon takes", async () => {
  const { type, answer, steps } = typing();
  type({ text: "a" });
  type({ text: "b".repeat(1000) });
  type({ text: "c".repeat(1000) });
  await answer("end");
  await answer("end");
  expect(steps()).toEqual([{ text: "a" }, { text: "b".repeat(1000) }, { text: "c".repeat(1000) }]);
});

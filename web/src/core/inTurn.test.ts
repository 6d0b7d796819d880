import { expect, test } from "vitest";
import { inTurn, type Step } from "./inTurn";

function typing() {
  type Asked = { step: Step; at: number | undefined; end: () => void; fail: () => void };
  const asked: Asked[] = [];
  const faults: number[] = [];
  /** The daemon's clock, and how far its answers are behind. */
  const clock = { now: 1000, behind: 0 };
  let drops = 0;
  const { type, busy } = inTurn({
    now: () => clock.now,
    post: (step, at) =>
      new Promise((resolve, reject) => {
        const end = () => resolve(clock.now - clock.behind);
        asked.push({ step, at, end, fail: () => reject(new Error("unplugged")) });
      }),
    failed: (_, count) => faults.push(count),
    dropped: () => (drops += 1),
  });
  /** Lets the promises that follow an answer run; these are more turns than they have. */
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  const answer = async (how: "end" | "fail") => {
    asked.at(-1)?.[how]();
    await settle();
  };
  const times = () => asked.map(({ at }) => at);
  return {
    type,
    busy,
    answer,
    steps: () => asked.map(({ step }) => step),
    times,
    clock,
    faults,
    timesDropped: () => drops,
  };
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
  type({ text: "bc" });
  type({ chord: ["ControlLeft", "KeyC"] });
  await answer("fail");
  expect(faults).toEqual([3]);
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

test("a held key is not typed faster than it is taken, and a tapped one is typed as often as it was", async () => {
  const { type, answer, steps } = typing();
  const backspace = { chord: ["Backspace"] };
  for (let time = 0; time < 50; time += 1) type(backspace, { isRepeat: 0 < time });
  type(backspace, { times: 2 });
  type({ text: "a" });
  type(backspace, { isRepeat: true });
  for (let turn = 0; turn < 6; turn += 1) await answer("end");
  expect(steps()).toEqual([...Array<Step>(4).fill(backspace), { text: "a" }, backspace]);
});

test("what waits is dropped with a word when it becomes too much", async () => {
  const { type, answer, steps, timesDropped } = typing();
  type({ text: "a" });
  type({ chord: ["Backspace"] }, { times: 100 });
  expect(timesDropped()).toBe(0);
  type({ chord: ["Backspace"] }, { times: 2 });
  expect(timesDropped()).toBe(1);
  await answer("end");
  type({ text: "b" });
  await answer("end");
  expect(steps()).toEqual([{ text: "a" }, { text: "b" }]);
});

test("what waits while a long text is typed is asked for when that is done", async () => {
  const { type, answer, times, clock } = typing();
  type({ text: "a long text" });
  clock.now = 2000;
  type({ chord: ["Enter"] });
  clock.now = 30_000;
  await answer("end");
  expect(times()).toEqual([1000, 30_000]);
});

test("what waits for an answer that a stall held up is as old as that answer", async () => {
  const { type, answer, times, clock } = typing();
  type({ text: "a" });
  clock.now = 1100;
  type({ text: "b" });
  clock.now = 1900;
  type({ text: "c" });
  clock.now = 41_000;
  clock.behind = 39_950;
  await answer("end");
  expect(times()).toEqual([1000, 1100]);
});

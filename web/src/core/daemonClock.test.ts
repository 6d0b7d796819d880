import { expect, test } from "vitest";
import { daemonClock } from "./daemonClock";

/** What is known at `now` after messages by what they told and when they came. */
function known(messages: readonly (readonly [number, number])[], now: number) {
  const clock = daemonClock();
  for (const [told, at] of messages) clock.heard(told, at);
  return clock.at(now);
}

test("nothing is known before anything is heard, and then it goes on with our clock", () => {
  expect(known([], 100)).toBeUndefined();
  expect(known([[5000, 100]], 400)).toBe(5300);
});

test("the least delayed message counts, whenever it comes", () => {
  const stalled = [
    [5000, 4100],
    [6000, 1150],
    [7000, 5000],
  ] as const;
  expect(known(stalled, 5000)).toBe(9850);
  expect(known([...stalled].reverse(), 5000)).toBe(9850);
});

test("a machine that slept, and whose clock stood still, does not seem late", () => {
  expect(
    known(
      [
        [5000, 100],
        [3_605_000, 200],
      ],
      300,
    ),
  ).toBe(3_605_100);
});

test("a clock that has begun anew is taken at once", () => {
  expect(
    known(
      [
        [500_000, 100],
        [20_000, 60_100],
      ],
      60_200,
    ),
  ).toBe(20_100);
});

test("clocks that drift apart seem late in no hour", () => {
  const clock = daemonClock();
  for (let second = 1; second < 6 * 3600; second += 2) {
    const daemon = second * 1000;
    const ours = daemon - daemon / 2000;
    clock.heard(daemon - 50, ours);
    expect(Math.abs((clock.at(ours) ?? 0) - daemon)).toBeLessThan(200);
  }
});

test("a clock of ours that runs fast is followed, too", () => {
  const clock = daemonClock();
  for (let second = 1; second < 6 * 3600; second += 2) {
    const daemon = second * 1000;
    const ours = daemon + daemon / 2000;
    clock.heard(daemon - 50, ours);
    expect(Math.abs((clock.at(ours) ?? 0) - daemon)).toBeLessThan(200);
  }
});

/**
 * Knows what the daemon's clock says now.
 *
 * What is asked for says when, so that the daemon can refuse what a network that stalled delivers late.
 * Each time that the daemon tells is of when it left; the least delayed of late is nearest to the truth,
 * and every other estimate would make a healthy page seem late.
 */

/** How long a time that was told counts: one to two of these, as two clocks drift apart. */
const PERIOD_MS = 60_000;
/** No message is this late on a connection that is still believed; so the clock has started from zero. */
const RESTARTED_MS = 10_000;

export type DaemonClock = {
  /** Notes what the daemon's clock said in a message that came at `now`, both in milliseconds. */
  heard: (clock: number, now: number) => void;
  /** What it says at `now`; undefined until it has been heard. */
  at: (now: number) => number | undefined;
};

export function daemonClock(): DaemonClock {
  let begun = 0;
  /** By how much the daemon's clock is ahead of ours: of this period, and of the one before. */
  let highest: number | undefined;
  let before: number | undefined;

  const ahead = () =>
    highest === undefined || before === undefined ? highest : Math.max(highest, before);

  return {
    heard(clock, now) {
      const told = clock - now;
      const known = ahead();
      if (known !== undefined && told < known - RESTARTED_MS) highest = before = undefined;
      const age = now - begun;
      if (PERIOD_MS <= age) {
        before = age < 2 * PERIOD_MS ? highest : undefined;
        highest = undefined;
        begun = now;
      }
      highest = Math.max(highest ?? told, told);
    },
    at(now) {
      const known = ahead();
      return known === undefined ? undefined : Math.max(0, Math.round(known + now));
    },
  };
}

/**
 * Gathers a browser's scroll distances into the detents of a mouse wheel.
 *
 * A wheel has notches and the target counts them, but browsers report distances, which differ with
 * zoom, settings and system. So a notch is recognised by what each system says of one, and only what
 * a touchpad moves is measured; what is left over waits for more.
 */
import type { Platform } from "./keyRules";

/** What browsers report for one detent, in each unit that `WheelEvent.deltaMode` knows. */
const PER_DETENT = [100, 3, 1] as const;
const PIXELS = 0;
const REPORT_MAX = 127;

/** What Windows calls one notch; all browsers there and on Linux pass it on in `wheelDelta`. */
const NOTCH = 120;
/** How far macOS says that a wheel moved by its smallest step; a touchpad there moves whole pixels. */
const MAC_STEP = 4.000244140625;
/** A distance that a wheel could have moved is the touchpad's so soon after one that none could. */
const SAME_DEVICE_MS = 300;

export type Scroll = {
  deltaX: number;
  deltaY: number;
  deltaMode: number;
  wheelDeltaX?: number;
  wheelDeltaY?: number;
  timeStamp: number;
};

/** Where a wheel turns: Firefox tells its lines from a touchpad's pixels, and others do not. */
export type Wheels = { platform: Platform; isFirefox: boolean };

export function gatherWheel({
  platform,
  isFirefox,
}: Wheels): (scroll: Scroll) => { dx: number; dy: number } | null {
  let restX = 0;
  let restY = 0;
  let touchpadSince = -Infinity;

  /** How many notches of a wheel this is; null where it is none. */
  const notches = (mode: number, delta: number, legacy: number): number | null => {
    const size = Math.abs(delta);
    // At least one, however slowly it was turned; more only where the system took it for a long way.
    const some = () => Math.max(1, Math.trunc(size / (PER_DETENT[mode] ?? 1)));
    // Firefox makes `wheelDelta` of pixels too, three for each, and many of those are notches by chance.
    if (isFirefox && mode === PIXELS) return null;
    if (platform === "mac") {
      if (mode !== PIXELS) return some();
      return Number.isInteger(size / MAC_STEP) ? some() : null;
    }
    if (legacy !== 0 && Number.isInteger(legacy / NOTCH)) return Math.abs(legacy) / NOTCH;
    return mode !== PIXELS && Number.isInteger(size) ? some() : null;
  };

  /** Turns one axis; `rest` is what it had left over. */
  const turn = (mode: number, delta: number, legacy: number, rest: number, now: number) => {
    if (delta === 0) return { whole: 0, rest };
    const count = now - touchpadSince < SAME_DEVICE_MS ? null : notches(mode, delta, legacy);
    if (count !== null) return { whole: count * Math.sign(delta), rest: 0 };
    touchpadSince = now;
    const sum = add(rest, delta / (PER_DETENT[mode] ?? PER_DETENT[PIXELS]));
    return { whole: Math.trunc(sum), rest: sum - Math.trunc(sum) };
  };

  return (scroll) => {
    // First: Firefox answers in lines only whoever has asked for the unit before the distance.
    const { deltaMode: mode } = scroll;
    const { deltaX, deltaY, wheelDeltaX = 0, wheelDeltaY = 0, timeStamp: now } = scroll;
    const x = turn(mode, deltaX, wheelDeltaX, restX, now);
    const y = turn(mode, deltaY, wheelDeltaY, restY, now);
    restX = x.rest;
    restY = y.rest;
    if (x.whole === 0 && y.whole === 0) return null;
    // The page scrolls down by positive distances; a wheel counts positive away from the user.
    return { dx: fit(x.whole), dy: fit(-y.whole) };
  };
}

/** How far fingers move on a screen for one detent, as far as a target scrolls for it. */
const FINGERS_PER_DETENT = 40;

/** Gathers how far fingers moved; what is under them goes with them, so the wheel turns the other way. */
export function gatherFingers(): (by: {
  x: number;
  y: number;
}) => { dx: number; dy: number } | null {
  let restX = 0;
  let restY = 0;
  return ({ x, y }) => {
    restX = add(restX, -x / FINGERS_PER_DETENT);
    restY = add(restY, y / FINGERS_PER_DETENT);
    const dx = fit(Math.trunc(restX));
    const dy = fit(Math.trunc(restY));
    restX -= Math.trunc(restX);
    restY -= Math.trunc(restY);
    return dx === 0 && dy === 0 ? null : { dx, dy };
  };
}

/** A change of direction forgets the rest, or the first detent back would be swallowed. */
function add(rest: number, more: number): number {
  return rest * more < 0 ? more : rest + more;
}

function fit(detents: number): number {
  // Adding zero turns minus zero, which JSON would show, into zero.
  return Math.max(-REPORT_MAX, Math.min(REPORT_MAX, detents)) + 0;
}

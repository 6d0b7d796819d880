/**
 * Finds out what fingers on the screen mean.
 *
 * One finger points and drags, a long press is the right button, two fingers scroll or pinch. Whether a
 * finger stays alone shows only after it came down, so a press is held back until it does: what was
 * never pressed needs not be taken back, and no pinch is a drag on the target. It reads no clock: call
 * `tick` at `deadline`, and drain `poll` after each call.
 */
import type { Point } from "./geometry";

export type TouchAction =
  | { do: "point"; at: Point }
  | { do: "press"; at: Point; button: 1 | 2 }
  | { do: "lift"; at: Point }
  /** Two fingers moved side by side. */
  | { do: "scroll"; by: Point }
  /** Two fingers moved apart or together around a point, which moved with them. */
  | { do: "pinch"; factor: number; at: Point; by: Point };

export type Touches = {
  down: (finger: number, at: Point, now: number) => void;
  move: (finger: number, at: Point, now: number) => void;
  up: (finger: number, at: Point, now: number) => void;
  /** The finger is gone, and nobody knows where to. */
  cancel: (finger: number) => void;
  tick: (now: number) => void;
  poll: () => TouchAction | undefined;
  deadline: () => number | null;
};

/** The second finger of two comes within this time. */
const ALONE_MS = 100;
const LONG_PRESS_MS = 500;
/** A finger at rest moves this far, in CSS pixels. */
const REST = 10;
/** The two taps of a double click are together within this time and distance. */
const AGAIN_MS = 400;
const AGAIN = 30;
/** What fingers must move together, or apart, to mean one and not the other. */
const SCROLL = 12;
const PINCH = 24;

type State =
  | { is: "idle" }
  /** `start` is where it points; `origin` where it came down. */
  | { is: "held-back"; finger: number; start: Point; origin: Point; at: Point; since: number }
  | { is: "dragging"; finger: number; at: Point }
  /** `moved` has moved since they were looked at together. */
  | {
      is: "two";
      fingers: readonly [number, number];
      from: Pair;
      means: Means;
      moved: number | null;
    }
  /** All has been done; the fingers that are still there mean nothing more. */
  | { is: "done" };

type Means = "scroll" | "pinch" | null;
type Pair = { middle: Point; distance: number };

export function touches(): Touches {
  const fingers = new Map<number, Point>();
  const actions: TouchAction[] = [];
  let state: State = { is: "idle" };
  let tapped: { at: Point; since: number } | null = null;

  const down = (finger: number, at: Point, now: number) => {
    fingers.set(finger, at);
    if (state.is === "idle") {
      const again =
        tapped !== null && now - tapped.since < AGAIN_MS && apart(tapped.at, at) < AGAIN;
      // A finger does not hit the same pixel twice, and a double click must.
      const start = again && tapped !== null ? tapped.at : at;
      state = { is: "held-back", finger, start, origin: at, at, since: now };
      actions.push({ do: "point", at: start });
    } else if (state.is === "held-back") {
      state = {
        is: "two",
        fingers: [state.finger, finger],
        from: pair(state.at, at),
        means: null,
        moved: null,
      };
    }
  };

  /** Presses where the finger came down, and follows it from there. */
  const drag = (finger: number, start: Point, at: Point) => {
    actions.push({ do: "press", at: start, button: 1 }, { do: "point", at });
    state = { is: "dragging", finger, at };
  };

  const move = (finger: number, at: Point, now: number) => {
    if (!fingers.has(finger)) return;
    fingers.set(finger, at);
    if (state.is === "held-back" && state.finger === finger) {
      state = { ...state, at };
      tick(now);
    } else if (state.is === "dragging" && state.finger === finger) {
      state = { ...state, at };
      actions.push({ do: "point", at });
    } else if (state.is === "two" && state.fingers.includes(finger)) {
      // Browsers tell of one finger after the other, and half of a scroll looks like a pinch.
      if (state.moved === null) state = { ...state, moved: finger };
      else follow({ ...state, moved: null });
    }
  };

  const follow = (two: State & { is: "two" }) => {
    state = two;
    const [one, other] = two.fingers.map((finger) => fingers.get(finger));
    if (one === undefined || other === undefined) return;
    const now = pair(one, other);
    const { middle, distance } = two.from;
    const by = { x: now.middle.x - middle.x, y: now.middle.y - middle.y };
    if (two.means === null) {
      const pinched = Math.abs(now.distance - distance) / PINCH;
      const scrolled = Math.hypot(by.x, by.y) / SCROLL;
      if (Math.max(pinched, scrolled) < 1) return;
      // From here on, so that nothing jumps.
      state = { ...two, from: now, means: pinched < scrolled ? "scroll" : "pinch" };
      return;
    }
    if (two.means === "scroll") actions.push({ do: "scroll", by });
    else actions.push({ do: "pinch", factor: now.distance / distance, at: middle, by });
    state = { ...two, from: now };
  };

  const up = (finger: number, at: Point, now: number) => {
    if (state.is === "held-back" && state.finger === finger) {
      const { start, origin } = state;
      if (apart(origin, at) < REST) {
        actions.push({ do: "press", at: start, button: 1 }, { do: "lift", at: start });
        tapped = { at: start, since: now };
      } else {
        drag(finger, start, at);
        actions.push({ do: "lift", at });
      }
    } else if (state.is === "dragging" && state.finger === finger) {
      actions.push({ do: "point", at }, { do: "lift", at });
    } else if (state.is === "two" && state.moved !== null) {
      follow({ ...state, moved: null });
    }
    leave(finger);
  };

  const cancel = (finger: number) => {
    if (state.is === "dragging" && state.finger === finger)
      actions.push({ do: "lift", at: state.at });
    leave(finger);
  };

  const leave = (finger: number) => {
    if (!fingers.delete(finger)) return;
    if (fingers.size === 0) state = { is: "idle" };
    else if (state.is !== "dragging" || state.finger === finger) state = { is: "done" };
  };

  const tick = (now: number) => {
    if (state.is !== "held-back") return;
    const { finger, start, origin, at, since } = state;
    if (REST <= apart(origin, at)) {
      if (since + ALONE_MS <= now) drag(finger, start, at);
    } else if (since + LONG_PRESS_MS <= now) {
      actions.push({ do: "press", at: start, button: 2 }, { do: "lift", at: start });
      state = { is: "done" };
    }
  };

  return {
    down,
    move,
    up,
    cancel,
    tick,
    poll: () => actions.shift(),
    deadline() {
      if (state.is !== "held-back") return null;
      const moved = REST <= apart(state.origin, state.at);
      return state.since + (moved ? ALONE_MS : LONG_PRESS_MS);
    },
  };
}

const apart = (one: Point, other: Point): number => Math.hypot(one.x - other.x, one.y - other.y);

function pair(one: Point, other: Point): Pair {
  const middle = { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
  // Two fingers on one spot would enlarge without end.
  return { middle, distance: Math.max(apart(one, other), 1) };
}

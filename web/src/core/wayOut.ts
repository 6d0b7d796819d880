/**
 * Tells when the keys that were pressed mean to leave the target's screen.
 *
 * While the screen has the focus every key belongs to the target, Tab and Escape too, so the way out
 * must be one that nobody needs there. Right Ctrl twice is one that some KVM switches listen for, and
 * that many keyboards lack; so there is another, and the first can be switched off.
 */
import type { Platform } from "./keyRules";

/** Two taps further apart than this are two taps. */
const TWICE_MS = 500;
const TOGETHER = ["ControlLeft", "AltLeft", "ShiftLeft"] as const;

export type WayOut = {
  /** Takes a key that goes down or up, and says whether this was the way out. */
  key: (code: string, down: boolean, now: number) => boolean;
  /** Something else was done meanwhile, such as a click: what is held is for the target. */
  spoil: () => void;
  forget: () => void;
};

export function watchForWayOut(rightControl: () => boolean): WayOut {
  const held = new Set<string>();
  let together = false;
  let spoiled = false;
  let taps: { stage: "pressed" | "tapped"; since: number } | null = null;

  const press = (code: string, now: number): boolean => {
    held.add(code);
    if (!TOGETHER.some((one) => one === code)) spoiled = true;
    if (TOGETHER.every((one) => held.has(one))) together = true;
    const again = taps?.stage === "tapped" && now - taps.since < TWICE_MS;
    taps = code === "ControlRight" && held.size === 1 ? { stage: "pressed", since: now } : null;
    return again && taps !== null && rightControl();
  };

  const lift = (code: string, now: number): boolean => {
    held.delete(code);
    if (taps?.stage === "pressed") taps = { stage: "tapped", since: now };
    if (0 < held.size) return false;
    const found = together && !spoiled;
    together = false;
    spoiled = false;
    return found;
  };

  return {
    key: (code, down, now) => (down ? press(code, now) : lift(code, now)),
    spoil() {
      spoiled = 0 < held.size;
      taps = null;
    },
    forget() {
      held.clear();
      together = false;
      spoiled = false;
      taps = null;
    },
  };
}

/** How to leave the screen, for people. */
export function wayOutWords(platform: Platform, rightControl: boolean): string {
  const together = platform === "mac" ? "Control, Option and Shift" : "Ctrl, Alt and Shift";
  const twice = rightControl ? "right Ctrl twice, or " : "";
  return `Press ${twice}left ${together} together to leave the screen.`;
}

/**
 * Says in words what the daemon says in codes.
 *
 * Whoever stands before a black picture wants to know what to do, so each state names the thing to
 * look at. A code that this page does not know is shown as it is rather than hidden.
 */
import type { Status, Viewer } from "./protocol";

type Tone = "good" | "waiting" | "bad" | "off";
export type Word = { text: string; tone: Tone };

const SIGNAL: Record<string, Word> = {
  starting: { text: "Starting capture", tone: "waiting" },
  ok: { text: "Signal OK", tone: "good" },
  "no-device": { text: "No capture device", tone: "bad" },
  busy: { text: "Capture in use elsewhere", tone: "bad" },
  "no-signal": { text: "No signal", tone: "bad" },
  "no-lock": { text: "Signal not locked", tone: "waiting" },
  "out-of-range": { text: "Mode out of range", tone: "bad" },
  changing: { text: "Mode changing", tone: "waiting" },
  stalled: { text: "Capture stalled", tone: "bad" },
};

export function signalWord(signal: string): Word {
  return SIGNAL[signal] ?? { text: signal, tone: "waiting" };
}

export function usbWord(udc: Status["udc"]): Word {
  if (udc === null) return { text: "No USB controller", tone: "bad" };
  switch (udc.state) {
    case "configured":
      return { text: "Keyboard connected", tone: "good" };
    case "suspended":
      return { text: "Target asleep", tone: "waiting" };
    case "not attached":
      return { text: "USB not plugged in", tone: "bad" };
    default:
      return { text: "USB connecting", tone: "waiting" };
  }
}

export function powerWord(power: Status["power"]): Word {
  if (power === "on") return { text: "Power on", tone: "good" };
  if (power === "off") return { text: "Power off", tone: "off" };
  return { text: "Power unknown", tone: "waiting" };
}

/** Who else is here; null when nobody is. */
export function othersWord(viewers: Viewer[], me: number | null): string | null {
  const others = viewers.filter(({ id }) => id !== me);
  if (others.length === 0) return null;
  return others.map(({ user, typing }) => (typing ? `${user} is typing` : user)).join(", ");
}

/** A name for a saved picture that sorts by time. */
export function snapshotName(seat: string, now: Date): string {
  const stamp = now.toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
  return `${seat}-${stamp}.jpg`;
}

/**
 * Puts into words what the daemon says in codes.
 *
 * Whoever stands before a black picture wants to know what to do, so each state names the thing to
 * look at. A code that this page does not know is shown as it is rather than hidden.
 */
import type { Health, Status, System, Update, Viewer } from "./protocol";

type Tone = "good" | "waiting" | "bad" | "off";
export type Label = { text: string; tone: Tone };

const SIGNAL: Record<string, Label> = {
  starting: { text: "Starting capture", tone: "waiting" },
  ok: { text: "Signal OK", tone: "good" },
  "no-device": { text: "No capture device", tone: "bad" },
  busy: { text: "Capture in use elsewhere", tone: "bad" },
  "no-signal": { text: "No signal", tone: "bad" },
  "no-lock": { text: "Signal not locked", tone: "waiting" },
  "out-of-range": { text: "Mode out of range", tone: "bad" },
  changing: { text: "Mode changing", tone: "waiting" },
  stalled: { text: "Capture stalled", tone: "bad" },
  damaged: { text: "Damaged pictures", tone: "bad" },
  unsupported: { text: "Unknown format", tone: "bad" },
  "no-bandwidth": { text: "No room on USB", tone: "bad" },
  stuck: { text: "Capture driver hangs", tone: "bad" },
};

export function signalLabel(signal: string): Label {
  return SIGNAL[signal] ?? { text: signal, tone: "waiting" };
}

/** What is known of the signal beyond its label: the device, what was chosen of it and what is wrong. */
export function signalDetail({
  device,
  choice,
  reason,
}: Pick<Status, "device" | "choice" | "reason">): string {
  return [device, choice, reason].filter(Boolean).join("\n");
}

/** Whether the bus to the target is suspended: it sleeps, or is off or unplugged. */
export const isSuspended = ({ udc, asleep }: Pick<Status, "udc" | "asleep">): boolean =>
  udc !== null && (asleep || udc.state === "suspended");

/**
 * How the keyboard's way to the target is.
 *
 * The Pi's controller shows a target that sleeps, is off or was unplugged as the same; the power lamp
 * tells the second from the others.
 */
export function usbLabel({ udc, asleep, power }: Pick<Status, "udc" | "asleep" | "power">): Label {
  if (udc === null) return { text: "No USB controller", tone: "bad" };
  switch (isSuspended({ udc, asleep }) ? "suspended" : udc.state) {
    case "configured":
      return { text: "Keyboard connected", tone: "good" };
    case "suspended":
      if (power === "off") return { text: "USB: target off", tone: "off" };
      if (power === "on") return { text: "Target asleep or unplugged", tone: "waiting" };
      return { text: "Target asleep, off or unplugged", tone: "waiting" };
    case "not attached":
      return { text: "USB not plugged in", tone: "bad" };
    default:
      return { text: "USB connecting", tone: "waiting" };
  }
}

export function powerLabel(power: Status["power"]): Label {
  if (power === "on") return { text: "Power on", tone: "good" };
  if (power === "off") return { text: "Power off", tone: "off" };
  return { text: "Power unknown", tone: "waiting" };
}

const PHASE: Record<Update["phase"], string> = {
  idle: "",
  receiving: "Sending the file",
  fetching: "Getting the file",
  checking: "Checking signature and purpose",
  installing: "Writing the new system",
  ready: "Installed",
  failed: "Not installed",
};

export function phaseLabel({ phase, percent }: Update): string {
  const label = PHASE[phase] ?? phase;
  const counts = phase === "receiving" || phase === "fetching" || phase === "installing";
  return counts ? `${label}: ${percent} %` : label;
}

const STARTED: Record<string, string> = {
  power: "The power came on",
  watchdog: "It hung, and was restarted",
  update: "An update was installed",
  panic: "Its kernel failed",
  restart: "It was restarted",
  fallback: "A new version did not prove itself, so this one came back",
};

export function startedLabel(started: System["started"]): string {
  if (started === null) return "Not known";
  const label = STARTED[started.why] ?? started.why;
  return started.detail === "" ? label : `${label} (${started.detail})`;
}

/** From here up a Pi's firmware slows the processor down by itself, and tells nobody. */
const HOT_CELSIUS = 80;

/** How warm the appliance is; null where nothing measures it. */
export function heatLabel({ celsius, slowed }: Health): string | null {
  if (celsius === null) return null;
  const label = `${celsius} °C`;
  if (slowed?.now === true) return `${label}, slowed down`;
  return slowed?.ever === true ? `${label}; slowed down at times since the start` : label;
}

/** How the supply is; null where nothing measures it. */
export function supplyLabel({ low_voltage: low }: Health): string | null {
  if (low === null) return null;
  if (low.now) return "Voltage too low";
  return low.ever ? "Good now; too low at times since the start" : "Good";
}

/** What a person has to see to, most urgent first. */
export function healthFaults(health: Health | null): string[] {
  if (health === null) return [];
  const { low_voltage: low, celsius, slowed, card } = health;
  const faults: string[] = [];
  if (card === "failing") {
    faults.push(
      "The card is failing: what is changed now may be lost. A restart repairs what can be repaired; write another card soon.",
    );
  }
  if (low?.ever === true) {
    const when = low.now ? "is" : "was";
    faults.push(
      `The supply's voltage ${when} too low: use a better supply, or a thicker and shorter cable. It slows the appliance down, and can stop it or damage its card.`,
    );
  }
  if (slowed?.now === true || (celsius !== null && HOT_CELSIUS <= celsius)) {
    faults.push("The appliance is too hot, and slows down for it: give it air, or a heat sink.");
  }
  return faults;
}

/** What is in the slot that does not run; null where there are none. */
export function otherSlotLabel({ slot, slots }: System): string | null {
  if (slot === null || slots === null) return null;
  const name = slot === "A" ? "B" : "A";
  const { version, installed } = slots[name];
  if (version === null) return `Slot ${name}, as the card was written`;
  const day = installed === null ? "" : `, installed ${installed.slice(0, 10)}`;
  return `${version} in slot ${name}${day}`;
}

/** Makes a sentence of the daemon's words, so that others may follow. */
export function sentence(words: string): string {
  const [first = "", ...rest] = words;
  const text = first.toUpperCase() + rest.join("");
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** When something was so, for who reads it now: the hour, and the day too when that is another. */
export function asOfLabel(then: Date, now: Date): string {
  const isToday = then.toDateString() === now.toDateString();
  const day: Intl.DateTimeFormatOptions = isToday ? {} : { day: "numeric", month: "short" };
  return `As of ${then.toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit" })}`;
}

/** How long ago something was, as far as one wants to know. */
export function agoLabel(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))} s ago`;
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 2880
    ? `${Math.floor(minutes / 60)} h ago`
    : `${Math.floor(minutes / 1440)} days ago`;
}

/** Who else is here; null when nobody is. */
export function othersLabel(viewers: Viewer[], me: number | null): string | null {
  const others = viewers.filter(({ id }) => id !== me);
  if (others.length === 0) return null;
  return others.map(({ user, typing }) => (typing ? `${user} is typing` : user)).join(", ");
}

/** A name for a saved picture that sorts by time. */
export function snapshotName(seat: string, now: Date): string {
  const stamp = now.toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
  return `${seat}-${stamp}.jpg`;
}

/**
 * Names every message of the WebSocket and every body of the API.
 *
 * The daemon's own list of names is compared with this file by a test, so each message is written
 * with its `type` as a literal, and no other `type` literal stands here.
 */

/** `t` is when it was sent, in milliseconds; the socket adds it. */
export type ToDaemon =
  | { type: "key"; code: string; down: boolean; t?: number }
  | { type: "pointer"; x: number; y: number; buttons: number; t?: number }
  | { type: "wheel"; dx: number; dy: number; t?: number }
  | { type: "release" }
  | { type: "held"; t?: number }
  | { type: "shown"; seq: number; t?: number }
  | { type: "beat"; t?: number }
  | { type: "pictures"; on: boolean };

/** `clock` is when it was told, in milliseconds by the daemon's clock. */
type Told = { clock?: number };

export type FromDaemon =
  | ({ type: "hello"; seat: string; id: number; user: string; privileges: Privilege[] } & Told)
  | ({ type: "status" } & Status)
  | ({ type: "latency"; ms: number } & Told)
  | ({ type: "beat" } & Told)
  | ({ type: "update" } & Update)
  | { type: "trial"; trial: Trial | null }
  | { type: "refused"; code: string; message: string };

/** What somebody may do. Who they are called, the page does not ask: roles can be cut differently. */
export type Privilege = "view" | "input" | "media" | "power" | "configure" | "users";

export type SignalState =
  | "starting"
  | "ok"
  | "no-device"
  | "busy"
  | "no-signal"
  | "no-lock"
  | "out-of-range"
  | "changing"
  | "stalled"
  | "damaged"
  | "unsupported"
  | "no-bandwidth"
  | "stuck";

export type Viewer = { id: number; user: string; typing: boolean };

export type Status = Told & {
  seat: string;
  signal: SignalState;
  mode: { width: number; height: number } | null;
  fps: number;
  device: string;
  /** What was chosen among the device's formats, and why. */
  choice: string | null;
  /** What exactly is wrong with the signal. */
  reason: string | null;
  /** For how long there has been no live picture; absent while there is one. */
  lost_ms?: number;
  /** What to do about that; empty while there is one. */
  advice: string;
  /** Which numbers mean black and white: 0 and 255, or 16 and 235. */
  range: "full" | "limited";
  /** How many pictures were too damaged to be shown. */
  dropped: number;
  power: "on" | "off" | "unknown";
  leds: { power: boolean | null; disk: boolean | null };
  keyboard_leds: { num: boolean; caps: boolean; scroll: boolean };
  udc: { name: string; state: string } | null;
  /** The bus was suspended when it was last asked, which a Pi's `udc` does not show. */
  asleep: boolean;
  viewers: Viewer[];
};

export type Session = { claimed: boolean; user: string | null; privileges: Privilege[] };

/** How an update of the appliance is going. */
export type Update = {
  phase: "idle" | "receiving" | "fetching" | "checking" | "installing" | "ready" | "failed";
  percent: number;
  message: string;
};

/** A configuration that is tried: until when by the appliance's clock, and where the page is meanwhile. */
export type Trial = { until_ms: number; addresses: string[] };

/** Something that comes and goes: whether it is so, and whether it has been since the start. */
export type Trouble = { now: boolean; ever: boolean };

/** How the board is; null for what it cannot say. */
export type Health = {
  low_voltage: Trouble | null;
  celsius: number | null;
  slowed: Trouble | null;
  card: "good" | "failing" | null;
};

export type Slot = { version: string | null; installed: string | null; tries_left: number | null };

/** The appliance itself, as `GET /api/v1/system` shows it. */
export type System = {
  host: string;
  version: string;
  build: string | null;
  variant: string | null;
  board: string;
  slot: "A" | "B" | null;
  confirmed: boolean | null;
  slots: { A: Slot; B: Slot } | null;
  started: { why: string; detail: string } | null;
  health: Health | null;
  update: Update;
  update_from: string | null;
};

export type Press = "tap" | "hold" | "reset";

/** A press that has begun. */
export type Pressed = { press: Press; seconds: number };

/**
 * Reads a text frame; null when it is none of ours.
 *
 * The daemon carries this page inside itself, so a message with a known name has the known shape;
 * only a page left open over an update meets a stranger, and that one is better ignored.
 */
export function parseMessage(text: string): FromDaemon | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof message !== "object" || message === null || !("type" in message)) return null;
  const names: readonly unknown[] = [
    "hello",
    "status",
    "latency",
    "beat",
    "update",
    "trial",
    "refused",
  ];
  return names.includes(message.type) ? (message as FromDaemon) : null;
}

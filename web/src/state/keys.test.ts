import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CHORDS, SWITCH_CHORDS } from "../core/chords";
import type { ToDaemon } from "../core/protocol";
import { keysOf } from "./keys";
import { hearClock, Refusal } from "../remote/api";
import { dismiss, notices } from "./notices";
import type { Connection, Seat } from "./seat";

let bodies: unknown[];
let answer: () => Response | Promise<Response>;
/** Breaks off what is under way. */
let steady: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  bodies = [];
  answer = () => new Response("{}");
  steady = new AbortController();
  vi.stubGlobal("fetch", async (path: string, { body, signal }: RequestInit & { body: string }) => {
    bodies.push([path, JSON.parse(body)]);
    return Promise.race([
      answer(),
      new Promise<never>((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason as Error)),
      ),
    ]);
  });
});
afterEach(() => {
  for (const { matter } of notices.value) dismiss(matter);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

let sent: string[];

function open(connection: Connection = "open", unavailable: string | null = null) {
  sent = [];
  const seat = {
    id: "main",
    connection: { value: connection },
    unavailable: { value: unavailable },
    steady: () => steady.signal,
    send: (message: ToDaemon) => {
      if (message.type === "key") sent.push(`${message.down ? "+" : "-"}${message.code}`);
    },
  };
  return keysOf(seat as unknown as Seat);
}
/** What was asked of the daemon, once all of it has been answered. */
const asked = async () => {
  await vi.advanceTimersByTimeAsync(10);
  for (const [path] of bodies as [string][]) expect(path).toBe("/api/v1/seats/main/keys");
  return (bodies as [string, unknown][]).map(([, body]) => body);
};
const named = (name: string) => {
  const found = [...CHORDS, ...SWITCH_CHORDS].find((chord) => chord.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
};

test("a chord is one request, so that the daemon gives its keys their time", async () => {
  open().chord(named("Ctrl-Alt-Del"));
  expect(await asked()).toEqual([{ chord: ["ControlLeft", "AltLeft", "Delete"] }]);
});

test("a key for a KVM switch is pressed twice", async () => {
  open().chord(named("Scroll Lock twice"));
  expect(await asked()).toEqual([{ chord: ["ScrollLock"] }, { chord: ["ScrollLock"] }]);
});

test("modifiers that are armed go with the next key and no other", async () => {
  const keys = open();
  keys.toggle("ControlLeft");
  keys.toggle("ShiftLeft");
  keys.toggle("AltLeft");
  keys.toggle("ShiftLeft");
  expect(keys.armed.value).toEqual(["ControlLeft", "AltLeft"]);
  keys.chord({ codes: ["F2"] });
  keys.chord({ codes: ["F3"] });
  expect(await asked()).toEqual([{ chord: ["ControlLeft", "AltLeft", "F2"] }, { chord: ["F3"] }]);
});

test("a letter under an armed modifier is a key, and the rest of the text is text", async () => {
  const keys = open();
  keys.toggle("ControlLeft");
  keys.text("Cls");
  expect(keys.armed.value).toEqual([]);
  expect(await asked()).toEqual([{ chord: ["ControlLeft", "KeyC"] }, { text: "ls" }]);
});

test("a character that is no key under a modifier is reported, and not typed without it", async () => {
  const keys = open();
  keys.toggle("ControlLeft");
  keys.text("é");
  expect(await asked()).toEqual([]);
  expect(notices.value.map(({ text }) => text)).toEqual([
    "“é” is not one key, so it cannot be pressed with a modifier.",
  ]);
});

test("what the daemon refuses is reported in its words", async () => {
  const error = { code: "usb-unplugged", message: "the target does not take keys" };
  answer = () => new Response(JSON.stringify({ error }), { status: 503 });
  const keys = open();
  keys.text("a");
  await asked();
  expect(notices.value).toMatchObject([{ text: "the target does not take keys" }]);
});

test("all who ask for a seat's keys share what is armed", () => {
  const seat = { id: "main" } as Seat;
  keysOf(seat).toggle("AltLeft");
  expect(keysOf(seat).armed.value).toEqual(["AltLeft"]);
});

test("a key is held as long as a finger is on it, together with what is armed", async () => {
  const keys = open();
  keys.toggle("AltLeft");
  const lift = keys.hold("Tab");
  expect(sent).toEqual(["+AltLeft", "+Tab"]);
  lift();
  expect(sent.slice(2)).toEqual(["-Tab", "-AltLeft"]);
  expect(await asked()).toEqual([]);
});

test("a key that is held does not overtake what is still being typed", async () => {
  const keys = open();
  keys.text("ls");
  keys.hold("Enter")();
  expect(sent).toEqual([]);
  expect(await asked()).toEqual([{ text: "ls" }, { chord: ["Enter"] }]);
});

test("without a socket a key is tapped over HTTP", async () => {
  open("watching").hold("F2")();
  expect(await asked()).toEqual([{ chord: ["F2"] }]);
});

test("what is armed is held around a click", () => {
  const keys = open();
  keys.toggle("ControlLeft");
  keys.toggle("ShiftLeft");
  const lift = keys.holdArmed();
  expect(keys.armed.value).toEqual([]);
  lift();
  keys.holdArmed()();
  expect(sent).toEqual(["+ControlLeft", "+ShiftLeft", "-ShiftLeft", "-ControlLeft"]);
});

test("what cannot be asked now is not asked later either", async () => {
  const keys = open("lost", "The connection is lost.");
  keys.chord(named("Ctrl-Alt-Del"));
  keys.hold("F2")();
  keys.text("rm");
  expect(await asked()).toEqual([]);
  expect(sent).toEqual([]);
  expect(notices.value.map(({ text }) => text)).toEqual(["The connection is lost."]);
});

test("a stall breaks off what is under way, and says how much that waited was not typed", async () => {
  answer = () => new Promise<Response>(() => undefined);
  const keys = open();
  keys.text("ls");
  keys.text("abc");
  keys.chord({ codes: ["Enter"] });
  expect(notices.value).toEqual([]);
  steady.abort(new Refusal("stalled", "the network stalls", 0));
  expect(await asked()).toEqual([{ text: "ls" }]);
  expect(notices.value).toMatchObject([
    {
      text: "The network stalls. Keystrokes that waited behind it and were not typed: 4.",
      matter: "refused stalled",
    },
  ]);
});

test("what is typed says when, by the daemon's clock once that is known", async () => {
  hearClock(70_000);
  const keys = open();
  keys.text("a");
  await vi.advanceTimersByTimeAsync(500);
  keys.chord({ codes: ["F2"] });
  expect(await asked()).toEqual([
    { text: "a", at: 70_000 },
    { chord: ["F2"], at: 70_500 },
  ]);
});

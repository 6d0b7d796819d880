import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HEADER_BYTES } from "../core/frame";
import type { Session, Status, ToDaemon } from "../core/protocol";
import { api } from "../remote/api";
import { attachKeyboard } from "../remote/keyboard";
import { SESSION_ENDED } from "../remote/socket";
import { FakeSocket, latest } from "../testing/fakeSocket";
import { keyEvent } from "../testing/keyEvent";
import { notices } from "./notices";
import { openSeat, type Seat } from "./seat";
import { session } from "./session";

const STATUS: Status = {
  seat: "main",
  signal: "ok",
  mode: null,
  fps: 0,
  device: "",
  choice: null,
  reason: null,
  advice: "",
  range: "full",
  dropped: 0,
  power: "unknown",
  leds: { power: null, disk: null },
  keyboard_leds: { num: false, caps: false, scroll: false },
  udc: null,
  asleep: false,
  viewers: [],
};

let user: Session["user"];
let reachable: boolean;
/** What was asked over HTTP. */
let asked: string[];
/** What a request is refused with, by the end of its path. */
let refused: Record<string, { status: number; code: string }>;
let seat: Seat;

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  user = "anna";
  session.value = { claimed: true, user, privileges: ["view"] };
  reachable = true;
  asked = [];
  refused = {};
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("addEventListener", () => undefined);
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal("location", { origin: "https://farhand" });
  vi.stubGlobal("fetch", (path: string) => {
    if (!reachable) return Promise.reject(new TypeError("failed to fetch"));
    asked.push(path.replace("/api/v1", ""));
    const refusal = refused[asked.at(-1) ?? ""];
    if (refusal !== undefined) {
      const body = JSON.stringify({
        error: { code: refusal.code, message: `says ${refusal.code}` },
      });
      return Promise.resolve(new Response(body, { status: refusal.status }));
    }
    const said = path.endsWith("/session") ? { claimed: true, user, privileges: ["view"] } : STATUS;
    return Promise.resolve(new Response(JSON.stringify(said)));
  });
  seat = openSeat(STATUS);
});
afterEach(() => {
  seat.close();
  vi.runAllTimers();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A picture from the daemon. */
function picture(seq: number): ArrayBuffer {
  const frame = new DataView(new ArrayBuffer(HEADER_BYTES + 4));
  frame.setBigUint64(0, BigInt(seq));
  return frame.buffer;
}

const numberOf = (data: ArrayBuffer) => Number(new DataView(data).getBigUint64(0));

test("the newest picture that nobody saw is kept, and the ones before it are acknowledged", () => {
  latest().hello();
  for (const seq of [1, 2, 3]) latest().onmessage?.({ data: picture(seq) });
  expect(latest().sent.map((text) => JSON.parse(text) as unknown)).toMatchObject([
    { type: "shown", seq: 1 },
    { type: "shown", seq: 2 },
  ]);
  const shown: number[] = [];
  seat.watch((data) => shown.push(numberOf(data)));
  latest().onmessage?.({ data: picture(4) });
  expect(shown).toEqual([3, 4]);
  expect(latest().sent).toHaveLength(2);
});

test("a picture is shown to the one who watches now, and only once", () => {
  latest().hello();
  latest().onmessage?.({ data: picture(1) });
  const first: number[] = [];
  const second: number[] = [];
  const unwatch = seat.watch((data) => first.push(numberOf(data)));
  seat.watch((data) => second.push(numberOf(data)));
  unwatch();
  latest().onmessage?.({ data: picture(2) });
  expect([first, second]).toEqual([[1], [2]]);
});

test("a picture of a lost socket is not shown after it", async () => {
  latest().hello();
  latest().onmessage?.({ data: picture(1) });
  latest().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(250);
  const shown: number[] = [];
  seat.watch((data) => shown.push(numberOf(data)));
  expect(shown).toEqual([]);
});

test("after the end of its session the page says so, and goes on in a new one", async () => {
  latest().hello();
  expect(seat.connection.value).toBe("open");
  latest().onclose?.({ code: SESSION_ENDED });
  expect(seat.connection.value).toBe("lost");
  await vi.advanceTimersByTimeAsync(250);
  expect(FakeSocket.all).toHaveLength(2);
  latest().hello();
  expect(seat.connection.value).toBe("open");
});

test("without a new session no socket is opened", async () => {
  latest().hello();
  user = null;
  latest().onclose?.({ code: SESSION_ENDED });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeSocket.all).toHaveLength(1);
  expect(seat.connection.value).toBe("lost");
});

test("a daemon that cannot be reached is a lost connection", async () => {
  latest().hello();
  reachable = false;
  latest().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seat.connection.value).toBe("lost");
  reachable = true;
  await vi.advanceTimersByTimeAsync(4000);
  latest().hello();
  expect(seat.connection.value).toBe("open");
});

test("what is known of a lost seat is dated by when the daemon was last heard", async () => {
  latest().hello();
  const heard = Date.now();
  reachable = false;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seat.connection.value).toBe("lost");
  expect(seat.knownAt.value).toEqual(new Date(heard));
  expect(seat.unavailable.value).toMatch(/lost/);
});

test("where HTTP gets through and sockets hang, the page watches without one", async () => {
  await vi.advanceTimersByTimeAsync(4000);
  expect(seat.connection.value).toBe("connecting");
  await vi.advanceTimersByTimeAsync(250 + 8000);
  expect(seat.connection.value).toBe("watching");
});

test("a socket that the daemon refuses has the daemon's own words as its reason, until it opens", async () => {
  refused["/seats/main/socket"] = { status: 429, code: "too-many-viewers" };
  for (let attempt = 0; attempt < 3; attempt += 1) {
    latest().onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(0);
    expect(seat.connection.value).toBe("lost");
    expect(seat.reason.value).toBe("says too-many-viewers");
    await vi.advanceTimersByTimeAsync(4000);
  }
  refused = {};
  latest().hello();
  expect([seat.connection.value, seat.reason.value]).toEqual(["open", null]);
});

test("a socket that something in between refuses has no reason of ours", async () => {
  refused["/seats/main/socket"] = { status: 400, code: "not-a-websocket" };
  latest().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(250);
  latest().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(0);
  expect([seat.connection.value, seat.reason.value]).toEqual(["watching", null]);
});

test("keys refused for one reason are one notice", () => {
  latest().hello();
  const refuse = (code: string, message: string) =>
    latest().onmessage?.({ data: JSON.stringify({ type: "refused", code, message }) });
  refuse("unknown-key", "F13 is no key of ours");
  refuse("unknown-key", "F14 is no key of ours");
  refuse("flooded", "too fast");
  expect(notices.value.map(({ text }) => text)).toEqual(["F14 is no key of ours", "too fast"]);
});

test("a quiet socket asks nothing over HTTP, so no session is kept from ending", async () => {
  latest().hello();
  for (let beat = 0; beat < 10; beat += 1) {
    await vi.advanceTimersByTimeAsync(2000);
    latest().onmessage?.({ data: '{"type":"beat"}' });
  }
  expect(asked).toEqual([]);
  expect(seat.connection.value).toBe("open");
});

test("where the page watches without a socket, the end of its session is noticed", async () => {
  await vi.advanceTimersByTimeAsync(4000 + 250 + 8000);
  expect(seat.connection.value).toBe("watching");
  refused["/seats/main"] = { status: 401, code: "not-logged-in" };
  user = null;
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.at(-1)).toBe("/session");
  expect(session.value?.user).toBeNull();
});

test("a press that is refused for want of a session shows that it has ended", async () => {
  latest().hello();
  refused["/seats/main/power"] = { status: 401, code: "not-logged-in" };
  user = null;
  const asked = { at: undefined, signal: seat.steady() };
  await expect(api.power("main", "tap", undefined, asked)).rejects.toMatchObject({
    code: "not-logged-in",
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(session.value?.user).toBeNull();
});

test("a wrong password ends no session", async () => {
  refused["/login"] = { status: 401, code: "wrong-password" };
  await expect(api.login("anna", "wrong")).rejects.toMatchObject({ code: "wrong-password" });
  expect(asked).toEqual(["/login"]);
});

/** Lets everything wait in the socket that is sent from now on, until the returned undo is called. */
function block() {
  const socket = latest();
  socket.bufferedAmount = 1000;
  return () => (socket.bufferedAmount = 0);
}

/** What of keys went out, as `+KeyA -KeyA`, and what releases them. */
const keysOf = (socket: FakeSocket) =>
  socket.sent
    .map((text) => JSON.parse(text) as ToDaemon)
    .flatMap((message) =>
      message.type === "key" ? [`${message.down ? "+" : "-"}${message.code}`] : [],
    );

describe("a Ctrl that is held down all the while", () => {
  const target = () => {
    const target = new EventTarget();
    const keyboard = attachKeyboard(target, {
      send: seat.send,
      text: () => undefined,
      nameless: () => undefined,
      leave: () => undefined,
      rightControlLeaves: () => false,
      document: Object.assign(new EventTarget(), { hasFocus: () => true }),
      window: new EventTarget(),
      platform: "other",
    });
    seat.whenReleased(keyboard.forgotten);
    return (type: string, code: string) =>
      target.dispatchEvent(keyEvent(type, { code, key: code, ctrlKey: true }));
  };

  test.each(["before", "in"])("and went down %s a stall is down for the next key", (when) => {
    latest().hello();
    const fire = target();
    if (when === "before") fire("keydown", "ControlLeft");
    fire("keydown", "KeyX");
    const unblock = block();
    vi.advanceTimersByTime(600);
    if (when === "in") fire("keydown", "ControlLeft");
    fire("keyup", "KeyX");
    expect(latest().sent.at(-1)).toBe('{"type":"release"}');
    unblock();
    latest().sent = [];
    fire("keydown", "KeyC");
    expect(keysOf(latest())).toEqual(["+ControlLeft", "+KeyC"]);
  });

  test.each(["hands-away", "usb-unplugged", "flooded"])(
    "is down for the next key after %s",
    (code) => {
      latest().hello();
      const fire = target();
      fire("keydown", "ControlLeft");
      latest().onmessage?.({ data: JSON.stringify({ type: "refused", code, message: "no" }) });
      latest().sent = [];
      fire("keydown", "KeyC");
      expect(keysOf(latest())).toEqual(["+ControlLeft", "+KeyC"]);
    },
  );

  test("is down for the next key on the socket after a lost one", () => {
    latest().hello();
    const fire = target();
    fire("keydown", "ControlLeft");
    latest().onclose?.({ code: 1006 });
    vi.advanceTimersByTime(250);
    latest().hello();
    fire("keydown", "KeyC");
    expect(keysOf(latest())).toEqual(["+ControlLeft", "+KeyC"]);
  });
});

test("what is under way is broken off when the connection is lost, and not by a short stall", async () => {
  latest().hello();
  const first = seat.steady();
  seat.send({ type: "key", code: "KeyA", down: true });
  latest().bufferedAmount = 1000;
  vi.advanceTimersByTime(600);
  seat.send({ type: "key", code: "KeyA", down: false });
  expect(first.aborted).toBe(false);
  latest().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(0);
  expect(first.reason).toMatchObject({ code: "stalled" });
  expect(seat.steady().aborted).toBe(false);
});

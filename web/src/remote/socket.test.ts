import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeSocket, latest } from "../testing/fakeSocket";
import { openSocket, SESSION_ENDED } from "./socket";

let window: EventTarget;

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  window = new EventTarget();
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function open() {
  const said: string[] = [];
  let dropped = 0;
  const socket = openSocket("ws://farhand/", {
    message: ({ type }) => said.push(type),
    picture: (data) => said.push(`picture of ${data.byteLength}`),
    closed: (code, wasOpen) => said.push(`closed ${code} ${wasOpen}`),
    stalled: () => said.push("stalled"),
    dropped: () => (dropped += 1),
  });
  return { socket, said, timesDropped: () => dropped };
}

test("messages and pictures arrive, nonsense does not", () => {
  const { socket, said } = open();
  latest().hello();
  latest().onmessage?.({ data: new ArrayBuffer(20) });
  latest().onmessage?.({ data: "{" });
  latest().onmessage?.({ data: '{"type":"of tomorrow"}' });
  expect(said).toEqual(["hello", "picture of 20"]);
  socket.send({ type: "release" });
  expect(latest().sent).toEqual(['{"type":"release"}']);
});

test("nothing is kept for a socket that is not open", () => {
  const { socket } = open();
  socket.send({ type: "key", code: "KeyA", down: true });
  latest().hello();
  expect(latest().sent).toEqual([]);
});

test("what is typed says when, and a release does not", () => {
  const { socket } = open();
  latest().hello();
  vi.advanceTimersByTime(1234);
  socket.send({ type: "key", code: "KeyA", down: true });
  socket.send({ type: "held" });
  socket.send({ type: "shown", seq: 7 });
  socket.send({ type: "pictures", on: true });
  const t = Math.round(performance.now());
  expect(latest().sent.map((text) => JSON.parse(text) as unknown)).toEqual([
    { type: "key", code: "KeyA", down: true, t },
    { type: "held", t },
    { type: "shown", seq: 7, t },
    { type: "pictures", on: true },
  ]);
});

/** Lets everything wait in the socket that is sent from now on. */
function block(socket: FakeSocket) {
  Object.defineProperty(socket, "bufferedAmount", {
    get: () => socket.sent.slice(from).reduce((sum, text) => sum + text.length, 0),
    configurable: true,
  });
  const from = socket.sent.length;
  return () => Object.defineProperty(socket, "bufferedAmount", { value: 0, configurable: true });
}
const types = (socket: FakeSocket) =>
  socket.sent.map((text) => (JSON.parse(text) as { type: string }).type);

test("what is typed into a stall is dropped, said once, and everything released", () => {
  const { socket, said, timesDropped } = open();
  latest().hello();
  socket.send({ type: "key", code: "KeyA", down: true });
  const unblock = block(latest());
  socket.send({ type: "held" });
  vi.advanceTimersByTime(499);
  socket.send({ type: "wheel", dx: 0, dy: 1 });
  vi.advanceTimersByTime(1);
  socket.send({ type: "key", code: "KeyA", down: false });
  socket.send({ type: "key", code: "Enter", down: true });
  socket.send({ type: "held" });
  expect(types(latest())).toEqual(["key", "held", "wheel", "release"]);
  expect(said).toEqual(["hello", "stalled"]);
  // For each: a key that went down in the stall is as unknown to the daemon as one from before it.
  expect(timesDropped()).toBe(3);
  unblock();
  socket.send({ type: "key", code: "KeyB", down: true });
  expect(types(latest()).at(-1)).toBe("key");
  vi.advanceTimersByTime(3000);
  expect(said).toEqual(["hello", "stalled"]);
});

test("a socket in which input has waited for two seconds is left, and another opened", () => {
  const { socket, said } = open();
  latest().hello();
  const stuck = latest();
  block(stuck);
  socket.send({ type: "key", code: "KeyA", down: true });
  vi.advanceTimersByTime(600);
  socket.send({ type: "held" });
  vi.advanceTimersByTime(1399);
  expect(said).toEqual(["hello", "stalled"]);
  vi.advanceTimersByTime(1);
  expect(said).toEqual(["hello", "stalled", "closed 1006 true"]);
  vi.advanceTimersByTime(250);
  expect(latest()).not.toBe(stuck);
  latest().hello();
  socket.send({ type: "key", code: "KeyB", down: true });
  expect(types(latest())).toEqual(["key"]);
});

test("input that came late begins a new socket", () => {
  const { said } = open();
  latest().hello();
  latest().onmessage?.({ data: '{"type":"refused","code":"late","message":"too late"}' });
  expect(said).toEqual(["hello", "refused", "closed 1006 true"]);
  vi.advanceTimersByTime(250);
  expect(FakeSocket.all).toHaveLength(2);
});

test("a lost socket is opened again, later each time, and soon after a success", () => {
  const { said } = open();
  latest().hello();
  latest().onclose?.({ code: 1006 });
  expect(said).toEqual(["hello", "closed 1006 true"]);
  for (const wait of [250, 500, 1000, 2000, 4000, 4000]) {
    const before = FakeSocket.all.length;
    vi.advanceTimersByTime(wait - 1);
    expect(FakeSocket.all.length).toBe(before);
    vi.advanceTimersByTime(1);
    expect(FakeSocket.all.length).toBe(before + 1);
    latest().onclose?.({ code: 1006 });
  }
  expect(said.at(-1)).toBe("closed 1006 false");
  vi.advanceTimersByTime(4000);
  latest().hello();
  latest().onclose?.({ code: 1001 });
  vi.advanceTimersByTime(250);
  expect(latest().readyState).toBe(0);
});

test("an ended session is not tried again", () => {
  open();
  latest().hello();
  latest().onclose?.({ code: SESSION_ENDED });
  vi.advanceTimersByTime(60_000);
  expect(FakeSocket.all).toHaveLength(1);
});

test("a socket that is silent for three beats is left, whatever HTTP says", () => {
  const { said } = open();
  latest().hello();
  for (let beat = 0; beat < 10; beat += 1) {
    vi.advanceTimersByTime(5999);
    latest().onmessage?.({ data: '{"type":"beat"}' });
  }
  vi.advanceTimersByTime(5999);
  expect(said.at(-1)).toBe("beat");
  vi.advanceTimersByTime(1);
  expect(said.at(-1)).toBe("closed 1006 true");
  vi.advanceTimersByTime(250);
  expect(FakeSocket.all).toHaveLength(2);
});

test("a beat is answered with the time", () => {
  open();
  latest().hello();
  vi.advanceTimersByTime(2000);
  latest().onmessage?.({ data: '{"type":"beat"}' });
  expect(latest().sent).toEqual([`{"type":"beat","t":${Math.round(performance.now())}}`]);
});

test("a line so slow that no picture came is given more time the next time", () => {
  const { said } = open();
  const show = () => latest().onmessage?.({ data: new ArrayBuffer(20) });
  latest().hello();
  vi.advanceTimersByTime(6000 + 250);
  expect(FakeSocket.all).toHaveLength(2);
  latest().hello();
  for (let picture = 0; picture < 3; picture += 1) {
    vi.advanceTimersByTime(10_000);
    show();
  }
  expect(FakeSocket.all).toHaveLength(2);
  vi.advanceTimersByTime(100);
  show();
  vi.advanceTimersByTime(6000);
  expect(said.at(-1)).toBe("closed 1006 true");
});

test("a network that is back is tried at once", () => {
  open();
  latest().hello();
  window.dispatchEvent(new Event("offline"));
  expect(FakeSocket.all).toHaveLength(1);
  window.dispatchEvent(new Event("online"));
  expect(FakeSocket.all).toHaveLength(2);
});

test("a closed socket stays closed", () => {
  const { socket, said } = open();
  latest().hello();
  socket.close();
  expect(said.at(-1)).toBe("closed 1000 true");
  window.dispatchEvent(new Event("online"));
  vi.advanceTimersByTime(60_000);
  expect(FakeSocket.all).toHaveLength(1);
});

test("a socket that does not open is abandoned, later each time", () => {
  const { said } = open();
  vi.advanceTimersByTime(3999);
  expect(said).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(said).toEqual(["closed 1006 false"]);
  expect(FakeSocket.all).toHaveLength(1);
  vi.advanceTimersByTime(250);
  expect(FakeSocket.all).toHaveLength(2);
  vi.advanceTimersByTime(7999);
  expect(said).toEqual(["closed 1006 false"]);
  vi.advanceTimersByTime(1);
  expect(said).toEqual(["closed 1006 false", "closed 1006 false"]);
});

test("a socket may be opened again after the end of a session, but not after its own", () => {
  const { socket } = open();
  latest().hello();
  latest().onclose?.({ code: SESSION_ENDED });
  socket.reopen();
  vi.advanceTimersByTime(250);
  expect(FakeSocket.all).toHaveLength(2);
  socket.close();
  socket.reopen();
  vi.advanceTimersByTime(60_000);
  expect(FakeSocket.all).toHaveLength(2);
});

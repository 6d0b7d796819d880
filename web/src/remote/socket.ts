/**
 * Keeps a WebSocket to a seat open.
 *
 * A network that disappears does not close a socket, it only falls silent. The daemon says something
 * every two seconds, so a socket that is silent for three of those is left, whatever else still
 * gets through: HTTP has connections of its own, and would come over a new address where the socket
 * is stuck on an old one. A socket that never opens is left, too; the browser would wait for minutes.
 */
import { backlog } from "../core/backlog";
import { backoff, patience } from "../core/backoff";
import { parseMessage, type FromDaemon, type ToDaemon } from "../core/protocol";

/** The daemon's word that the login this socket came from has ended. */
export const SESSION_ENDED = 4401;

/** Input behind anything that has waited this long would be typed into something else. */
const STALL_MS = 500;
/** A network that stalls longer is left: what waits in the socket is dropped with it. */
const LONGEST_STALL_MS = 2000;

type Kind = ToDaemon["type"];
/** What must not arrive late. A release may. */
const INPUT: readonly Kind[] = ["key", "pointer", "wheel", "held"];
/** What says when it was sent, so that the daemon can tell what is late. */
const TIMED: readonly Kind[] = [...INPUT, "shown", "beat"];

export type SocketPorts = {
  message: (message: FromDaemon) => void;
  picture: (data: ArrayBuffer) => void;
  /** The socket is gone; `wasOpen` tells a lost connection from one that never came about. */
  closed: (code: number, wasOpen: boolean) => void;
  /** The network stalls, and what is typed is dropped. */
  stalled: () => void;
  /** An input was dropped in a stall; the daemon releases what was held. */
  dropped: () => void;
};

export type Socket = {
  /** Sends if it can; nothing is kept for later, since a late key is a wrong key. */
  send: (message: ToDaemon) => void;
  /** Tries again after the end of a session, once there is another one. */
  reopen: () => void;
  close: () => void;
};

export function openSocket(url: string, ports: SocketPorts): Socket {
  const wait = backoff();
  const tolerated = patience();
  const abort = new AbortController();
  let socket: WebSocket | null = null;
  let opened = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let heardAt = 0;
  let sawPicture = false;
  let sent = backlog();
  let stall: ReturnType<typeof setTimeout> | undefined;

  const heard = (from: WebSocket) => {
    clearTimeout(silence);
    heardAt = performance.now();
    silence = setTimeout(() => {
      tolerated.lost(sawPicture);
      lose(from, 1006);
    }, tolerated.ms());
  };

  /** Forgets a socket without waiting for its closing handshake, which a dead network never ends. */
  const lose = (lost: WebSocket, code: number) => {
    if (socket !== lost) return;
    const wasOpen = opened;
    socket = null;
    opened = false;
    clearTimeout(silence);
    endStall();
    lost.close();
    if (code !== SESSION_ENDED) reopen();
    ports.closed(code, wasOpen);
  };

  const reopen = () => {
    clearTimeout(retry);
    // Never at once, or a daemon that keeps refusing us would be asked without a pause.
    if (!abort.signal.aborted) retry = setTimeout(open, wait.next());
  };

  const open = () => {
    clearTimeout(retry);
    if (socket !== null || abort.signal.aborted) return;
    const fresh = new WebSocket(url);
    fresh.binaryType = "arraybuffer";
    socket = fresh;
    sent = backlog();
    sawPicture = false;
    // A silence too: the daemon speaks first.
    silence = setTimeout(() => {
      tolerated.unopened();
      lose(fresh, 1006);
    }, tolerated.openingMs());
    fresh.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (socket !== fresh) return;
      if (data instanceof ArrayBuffer) {
        sawPicture = true;
        tolerated.picture(performance.now() - heardAt);
        heard(fresh);
        return ports.picture(data);
      }
      heard(fresh);
      const message = parseMessage(data);
      if (message?.type === "hello") {
        opened = true;
        wait.reset();
        tolerated.opened();
      }
      // The daemon learns how fast a message may be, also while no picture is acknowledged.
      if (message?.type === "beat") put(fresh, { type: "beat" });
      if (message !== null) ports.message(message);
      // The daemon measures by the fastest message of this socket, and a clock that has stood still
      // looks like a stall: only another socket begins again.
      if (message?.type === "refused" && message.code === "late") lose(fresh, 1006);
    };
    fresh.onclose = ({ code }) => lose(fresh, code);
  };

  const put = (on: WebSocket, message: ToDaemon) => {
    const now = performance.now();
    const isTimed = TIMED.includes(message.type);
    const text = JSON.stringify(isTimed ? { ...message, t: Math.round(now) } : message);
    // As many bytes as characters: nothing in a message is outside of ASCII.
    sent.sent(text.length, on.bufferedAmount, now);
    on.send(text);
  };

  /** Whether what is sent now would arrive after a stall. */
  const stalls = (on: WebSocket) => {
    const age = sent.age(on.bufferedAmount, performance.now());
    if (age < STALL_MS) {
      endStall();
      return false;
    }
    if (stall === undefined) {
      stall = setTimeout(() => outlast(on), Math.max(LONGEST_STALL_MS - age, 0));
      // Something of what is dropped may be the end of a key that is down.
      put(on, { type: "release" });
      ports.stalled();
    }
    ports.dropped();
    return true;
  };

  const endStall = () => {
    clearTimeout(stall);
    stall = undefined;
  };

  const outlast = (on: WebSocket) => {
    stall = undefined;
    if (LONGEST_STALL_MS <= sent.age(on.bufferedAmount, performance.now())) lose(on, 1006);
  };

  addEventListener("online", open, { signal: abort.signal });
  addEventListener("offline", () => socket && lose(socket, 1006), { signal: abort.signal });
  open();

  return {
    send(message) {
      if (socket?.readyState !== WebSocket.OPEN) return;
      if (INPUT.includes(message.type) && stalls(socket)) return;
      put(socket, message);
    },
    reopen,
    close() {
      abort.abort();
      clearTimeout(retry);
      if (socket !== null) lose(socket, 1000);
    },
  };
}

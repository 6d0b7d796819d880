/**
 * Keeps a WebSocket to a seat open.
 *
 * A network that disappears does not close a socket, it only falls silent; so a silence while
 * something ought to come is tested by asking the daemon over HTTP, and a socket whose daemon does
 * not answer is given up. One that never opens is given up without asking: the browser would wait
 * for minutes, and where HTTP still gets through, the page has another way to its pictures.
 */
import { backoff } from "../core/backoff";
import { parseMessage, type FromDaemon, type ToDaemon } from "../core/protocol";

/** The daemon's word that the login this socket came from has ended. */
export const SESSION_ENDED = 4401;

/** Longer than the pause between two latency messages, shorter than patience. */
const SILENCE_MS = 4000;
const ANSWER_MS = 3000;
const OPENING_MS = 4000;

export type SocketPorts = {
  message: (message: FromDaemon) => void;
  picture: (data: ArrayBuffer) => void;
  /** The socket is gone; `wasOpen` tells a lost connection from one that never came about. */
  closed: (code: number, wasOpen: boolean) => void;
  /** Whether the daemon still answers over HTTP. */
  answers: (signal: AbortSignal) => Promise<boolean>;
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
  const abort = new AbortController();
  let socket: WebSocket | null = null;
  let opened = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;

  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => void doubt(), SILENCE_MS);
  };

  const doubt = async () => {
    const asked = socket;
    const alive = await ports.answers(AbortSignal.timeout(ANSWER_MS));
    if (socket !== asked || asked === null) return;
    if (alive) heard();
    else lose(asked, 1006);
  };

  /** Forgets a socket without waiting for its closing handshake, which a dead network never ends. */
  const lose = (lost: WebSocket, code: number) => {
    if (socket !== lost) return;
    const wasOpen = opened;
    socket = null;
    opened = false;
    clearTimeout(silence);
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
    // A silence too: the daemon speaks first.
    silence = setTimeout(() => lose(fresh, 1006), OPENING_MS);
    fresh.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (socket !== fresh) return;
      heard();
      if (data instanceof ArrayBuffer) return ports.picture(data);
      const message = parseMessage(data);
      if (message?.type === "hello") {
        opened = true;
        wait.reset();
      }
      if (message !== null) ports.message(message);
    };
    fresh.onclose = ({ code }) => lose(fresh, code);
  };

  addEventListener("online", open, { signal: abort.signal });
  addEventListener("offline", () => socket && lose(socket, 1006), { signal: abort.signal });
  open();

  return {
    send(message) {
      if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
    },
    reopen,
    close() {
      abort.abort();
      clearTimeout(retry);
      if (socket !== null) lose(socket, 1000);
    },
  };
}

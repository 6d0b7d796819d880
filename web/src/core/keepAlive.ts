/**
 * Keeps telling the daemon that what is held is still held.
 *
 * The daemon releases everything when this page falls silent, so that a crashed browser cannot
 * leave a key down. Watching the messages themselves, rather than asking keyboard and pointer, means
 * that nobody can hold something and forget to say so.
 */
import type { ToDaemon } from "./protocol";

/** The daemon asks for one every 250 ms and releases all after 1.5 s. */
const PERIOD_MS = 250;

export type KeepAlive = { send: (message: ToDaemon) => void; forget: () => void };

export type KeepAlivePorts = {
  send: (message: ToDaemon) => void;
  /** Does something again and again until the returned undo is called. */
  every: (ms: number, does: () => void) => () => void;
};

export function keepAlive({ send, every }: KeepAlivePorts): KeepAlive {
  const keys = new Set<string>();
  let buttons = 0;
  let stop: (() => void) | null = null;

  const note = (message: ToDaemon) => {
    if (message.type === "key") {
      if (message.down) keys.add(message.code);
      else keys.delete(message.code);
    } else if (message.type === "pointer") {
      buttons = message.buttons;
    } else if (message.type === "release") {
      keys.clear();
      buttons = 0;
    }
  };

  const settle = () => {
    const holding = 0 < keys.size || buttons !== 0;
    if (holding && stop === null) {
      stop = every(PERIOD_MS, () => send({ type: "held" }));
    } else if (!holding && stop !== null) {
      stop();
      stop = null;
    }
  };

  return {
    send(message) {
      note(message);
      settle();
      send(message);
    },
    /** The socket is gone, and with it everything it held. */
    forget() {
      note({ type: "release" });
      settle();
    },
  };
}

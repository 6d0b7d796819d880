/**
 * Tells how old the oldest of what was sent, and has not left yet, is.
 *
 * A socket says how many bytes wait in it, not since when. So each message is noted with where it
 * ends in all that was ever sent.
 */
export type Backlog = {
  /** Notes a message, by its length, with how much waits before it. */
  sent: (bytes: number, waitingBytes: number, now: number) => void;
  /** The age of the oldest message of which something still waits; 0 when nothing does. */
  age: (waitingBytes: number, now: number) => number;
};

export function backlog(): Backlog {
  const messages: { end: number; at: number }[] = [];
  let end = 0;

  const forget = (waitingBytes: number) => {
    const left = end - waitingBytes;
    const waiting = messages.findIndex((message) => left < message.end);
    messages.splice(0, waiting < 0 ? messages.length : waiting);
  };

  return {
    sent(bytes, waitingBytes, now) {
      forget(waitingBytes);
      end += bytes;
      messages.push({ end, at: now });
    },
    age(waitingBytes, now) {
      forget(waitingBytes);
      const oldest = messages[0];
      return oldest === undefined ? 0 : now - oldest.at;
    },
  };
}

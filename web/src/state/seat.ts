/**
 * Joins one seat's socket to what the page draws.
 *
 * Everything drawn is a signal here; pictures do not pass through signals but go straight to
 * whoever draws them. One that comes before anybody does is kept: the daemon sends few that
 * nobody acknowledges, so a dropped one could be the last.
 */
import { computed, signal, type ReadonlySignal } from "@preact/signals";
import { parseFrame } from "../core/frame";
import { keepAlive } from "../core/keepAlive";
import type { FromDaemon, Privilege, Status, ToDaemon } from "../core/protocol";
import { api, hearClock, Refusal } from "../remote/api";
import { openSocket, SESSION_ENDED } from "../remote/socket";
import { hearUpdate } from "./appliance";
import { sayProblem } from "./notices";
import { loadSession, session } from "./session";

/** `watching`: no socket can be opened, but pictures come over HTTP. */
export type Connection = "connecting" | "open" | "lost" | "watching";

export type Me = { id: number; privileges: readonly Privilege[] };

export type Seat = {
  id: string;
  status: ReadonlySignal<Status>;
  connection: ReadonlySignal<Connection>;
  /** When the daemon was last heard before the connection was lost; what is known is of then. */
  knownAt: ReadonlySignal<Date>;
  /** Why nothing can be asked of the daemon for now; null while it can. */
  unavailable: ReadonlySignal<string | null>;
  /** Why the daemon refuses a socket, in its own words; null while it does not, or is not heard. */
  reason: ReadonlySignal<string | null>;
  latencyMs: ReadonlySignal<number | null>;
  /** Who we are here; null until the daemon has said so. */
  me: ReadonlySignal<Me | null>;
  send: (message: ToDaemon) => void;
  /** Calls when the daemon has released what was held here, or never heard of it, until undone. */
  whenReleased: (does: () => void) => () => void;
  /** What breaks off a request that is made now: the connection is lost. */
  steady: () => AbortSignal;
  /** Gives pictures to `show` until the returned undo is called. */
  watch: (show: (data: ArrayBuffer) => void) => () => void;
  close: () => void;
};

/** A proxy that forbids WebSockets refuses the second time as well; a restarting daemon does not. */
const REFUSALS_BEFORE_FALLBACK = 2;
const POLL_MS = 1000;
/** An answer that takes longer is none: in a black hole the browser would wait for minutes. */
const ANSWER_MS = 3000;
/** It comes once a second; an older one describes pictures that no longer flow. */
const LATENCY_MS = 2500;

/** What the daemon refuses for these it has not done, and what was held before it has released. */
const RELEASED_BY: readonly string[] = ["late", "flooded", "hands-away", "usb-unplugged"];

const LOST = "The connection to Farhand is lost; this page goes on trying to reach it.";
const STALLED = "The network stalls. What you type is dropped until it moves again.";

const BROKEN_OFF = "The network stalls. What was under way may have been done, in part or whole.";

const every = (ms: number, does: () => void): (() => void) => {
  const timer = setInterval(does, ms);
  return () => clearInterval(timer);
};

export function openSeat(first: Status): Seat {
  const id = first.seat;
  const status = signal(first);
  const connection = signal<Connection>("connecting");
  const knownAt = signal(new Date());
  const reason = signal<string | null>(null);
  const latencyMs = signal<number | null>(null);
  const me = signal<Me | null>(null);
  const abort = new AbortController();
  let steady = new AbortController();
  let show: ((data: ArrayBuffer) => void) | null = null;
  let unseen: ArrayBuffer | null = null;
  const releases = new Set<() => void>();
  let heard = Date.now();
  let refusals = 0;
  let poll: ReturnType<typeof setTimeout> | undefined;
  let stale: ReturnType<typeof setTimeout> | undefined;

  const receive = (message: FromDaemon) => {
    heard = Date.now();
    if ("clock" in message) hearClock(message.clock);
    switch (message.type) {
      case "hello":
        refusals = 0;
        reason.value = null;
        clearTimeout(poll);
        me.value = { id: message.id, privileges: message.privileges };
        connection.value = "open";
        if (document.hidden) tellVisibility();
        break;
      case "status":
        status.value = message;
        break;
      case "latency":
        latencyMs.value = message.ms;
        clearTimeout(stale);
        stale = setTimeout(() => (latencyMs.value = null), LATENCY_MS);
        break;
      case "update":
        hearUpdate(message);
        break;
      case "refused":
        sayProblem(message.message, `refused ${message.code}`);
        if (RELEASED_BY.includes(message.code)) released();
    }
  };

  const released = () => {
    for (const does of releases) does();
  };

  const picture = (data: ArrayBuffer) => {
    heard = Date.now();
    if (show !== null) return show(data);
    const overtaken = unseen && parseFrame(unseen);
    if (overtaken) held.send({ type: "shown", seq: overtaken.seq });
    unseen = data;
  };

  const closed = async (code: number, wasOpen: boolean) => {
    held.forget();
    released();
    unseen = null;
    latencyMs.value = null;
    if (abort.signal.aborted) return;
    if (code === SESSION_ENDED) return renew();
    if (wasOpen) lose();
    await ask(!wasOpen);
  };

  /** What waits in a network that stalls would be done late, and the person believes that nothing happened. */
  const breakOff = () => {
    steady.abort(new Refusal("stalled", BROKEN_OFF, 0));
    steady = new AbortController();
  };

  const lose = () => {
    breakOff();
    if (connection.value === "lost") return;
    knownAt.value = new Date(heard);
    connection.value = "lost";
  };

  /** Another tab may have logged out and in again, and then this page is still somebody's. */
  const renew = async () => {
    lose();
    await loadSession();
    if (session.value?.user) socket.reopen();
  };

  /** Learns over HTTP why there is no socket: no login, no daemon, or something in between. */
  const ask = async (refused: boolean) => {
    clearTimeout(poll);
    try {
      const now = await api.seat(id, AbortSignal.timeout(ANSWER_MS));
      const refusal = refused ? await api.socketRefusal(id, AbortSignal.timeout(ANSWER_MS)) : null;
      if (abort.signal.aborted || connection.value === "open") return;
      status.value = now;
      heard = Date.now();
      if (refused) reason.value = refusal?.message ?? null;
      if (refusal !== null) {
        // What is refused a socket is refused a stream as well.
        lose();
        return;
      }
      if (refused) refusals += 1;
      if (refusals < REFUSALS_BEFORE_FALLBACK) return;
      connection.value = "watching";
      poll = setTimeout(() => void ask(false), POLL_MS);
    } catch {
      if (abort.signal.aborted || connection.value === "open") return;
      lose();
      reason.value = null;
      refusals = 0;
    }
  };

  const socket = openSocket(api.socketUrl(id), {
    message: receive,
    picture,
    closed: (code, wasOpen) => void closed(code, wasOpen),
    // Half a second is no reason to cut a text short: the daemon refuses what comes too late.
    stalled: () => sayProblem(STALLED, "stalled"),
    dropped: released,
  });
  const held = keepAlive({ send: socket.send, every });

  const tellVisibility = () => held.send({ type: "pictures", on: !document.hidden });
  document.addEventListener("visibilitychange", tellVisibility, { signal: abort.signal });

  return {
    id,
    status,
    connection,
    knownAt,
    // A daemon that refuses a socket answers all else.
    unavailable: computed(() =>
      connection.value === "lost" && reason.value === null ? LOST : null,
    ),
    reason,
    latencyMs,
    me,
    send: held.send,
    whenReleased(does) {
      releases.add(does);
      return () => void releases.delete(does);
    },
    steady: () => steady.signal,
    watch(next) {
      show = next;
      if (unseen !== null) next(unseen);
      unseen = null;
      return () => {
        if (show === next) show = null;
      };
    },
    close() {
      abort.abort();
      clearTimeout(poll);
      clearTimeout(stale);
      socket.close();
      held.forget();
    },
  };
}

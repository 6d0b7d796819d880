/**
 * Speaks the HTTP part of docs/api.md.
 *
 * Every refusal arrives as one kind of error that carries the server's own message, which says what
 * to do better than this page could.
 */
import { daemonClock } from "../core/daemonClock";
import type { Press, Pressed, Session, Status, System, Update } from "../core/protocol";

/** A request was not carried out; `message` is for the person. */
export class Refusal extends Error {
  /** The daemon's stable code, or `unreachable` when nobody answered. */
  readonly code: string;
  readonly status: number;
  readonly retryAfterS: number | null;
  /** What the daemon says in addition, in the form that belongs to its code. */
  readonly detail: unknown;

  constructor(
    code: string,
    message: string,
    status: number,
    retryAfterS: number | null = null,
    detail: unknown = null,
  ) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfterS = retryAfterS;
    this.detail = detail;
  }
}

/** Makes any failure sayable; one that is not the daemon's is a fault of this page. */
export const asRefusal = (cause: unknown): Refusal =>
  cause instanceof Refusal ? cause : new Refusal("page", `This page failed: ${String(cause)}`, 0);

const unreachable = () =>
  new Refusal("unreachable", "Farhand does not answer. Is it on, and is the network up?", 0);

let sessionEnded = (): void => undefined;

/** Has `does` called whenever a request is refused because nobody is logged in any more. */
export function onSessionEnd(does: () => void): void {
  sessionEnded = does;
}

const clock = daemonClock();

/** Notes what the daemon's clock said in a message that has just come. */
export function hearClock(ms: number | undefined): void {
  if (ms !== undefined) clock.heard(ms, performance.now());
}

/** The daemon's clock now, as far as it is known. What is asked for says so, and is refused if it comes late. */
export const daemonNow = (): number | undefined => clock.at(performance.now());

const heard = (status: Status): Status => {
  hearClock(status.clock);
  return status;
};

type Options = { body?: unknown; file?: File; signal?: AbortSignal };

async function request(method: string, path: string, options: Options = {}): Promise<Response> {
  const { body, file, signal } = options;
  const init: RequestInit = { method, cache: "no-store", signal: signal ?? null };
  if (body !== undefined) {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  if (file !== undefined) {
    init.headers = { "Content-Type": "application/octet-stream" };
    init.body = file;
  }
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, init);
  } catch (cause) {
    if (signal?.aborted) throw signal.reason instanceof Refusal ? signal.reason : cause;
    throw unreachable();
  }
  if (response.ok) return response;
  const refused = await refusal(response);
  if (refused.code === "not-logged-in") sessionEnded();
  throw refused;
}

async function refusal(response: Response): Promise<Refusal> {
  const { status, headers } = response;
  const after = Number(headers.get("Retry-After") ?? NaN);
  const retryAfterS = Number.isFinite(after) ? after : null;
  try {
    const { error } = (await response.json()) as {
      error: { code: string; message: string; detail?: unknown };
    };
    return new Refusal(error.code, error.message, status, retryAfterS, error.detail);
  } catch {
    // Not our daemon's form: a proxy in between, say.
    return new Refusal("unknown", `The answer was ${status}.`, status, retryAfterS);
  }
}

/** When something was asked for, by the daemon's clock, and what breaks it off. */
type Asked = { at: number | undefined; signal: AbortSignal };

/** Types, and gives what the daemon's clock said when that was done. */
async function keys(seat: string, what: object, { at, signal }: Asked) {
  const options = { body: { ...what, at }, signal };
  const answer = await request("POST", `${seatPath(seat)}/keys`, options);
  const { clock } = (await answer.json()) as { clock?: number };
  hearClock(clock);
  return clock;
}

const seatPath = (seat: string) => `/seats/${encodeURIComponent(seat)}`;

export const api = {
  session: async () => (await (await request("GET", "/session")).json()) as Session,
  claim: (code: string, user: string, password: string) =>
    request("POST", "/claim", { body: { code, user, password } }),
  login: (user: string, password: string) =>
    request("POST", "/login", { body: { user, password } }),
  logout: () => request("POST", "/logout", { body: {} }),
  seats: async () => {
    const { seats } = (await (await request("GET", "/seats")).json()) as { seats: Status[] };
    return seats.map(heard);
  },
  seat: async (seat: string, signal?: AbortSignal) =>
    heard(
      (await (await request("GET", seatPath(seat), signal ? { signal } : {})).json()) as Status,
    ),
  /**
   * Why a socket is refused; null when nothing of ours stands in its way. A browser tells a page no
   * status of a socket that did not open, so the same is asked without one.
   */
  socketRefusal: async (seat: string, signal: AbortSignal) => {
    try {
      await request("GET", `${seatPath(seat)}/socket`, { signal });
    } catch (cause) {
      if (!(cause instanceof Refusal)) throw cause;
      if (cause.code !== "not-a-websocket") return cause;
    }
    return null;
  },
  snapshot: async (seat: string) => (await request("GET", `${seatPath(seat)}/snapshot.jpg`)).blob(),
  power: async (seat: string, press: Press, seconds: number | undefined, asked: Asked) => {
    const { at, signal } = asked;
    const options = { body: { press, seconds, at }, signal };
    return (await (await request("POST", `${seatPath(seat)}/power`, options)).json()) as Pressed;
  },
  wake: (seat: string) => request("POST", `${seatPath(seat)}/wake`, { body: { at: daemonNow() } }),
  type: (seat: string, text: string, asked: Asked) => keys(seat, { text }, asked),
  /** Asks whether a text could be typed, and types none of it. */
  check: (seat: string, text: string, signal?: AbortSignal) => {
    const body = { text, check: true };
    return request("POST", `${seatPath(seat)}/keys`, signal ? { body, signal } : { body });
  },
  chord: (seat: string, chord: readonly string[], asked: Asked) => keys(seat, { chord }, asked),
  health: (signal: AbortSignal) => request("GET", "/health", { signal }),
  system: async () => (await (await request("GET", "/system")).json()) as System,
  update: (file: File, signal: AbortSignal) => request("POST", "/update", { file, signal }),
  fetchUpdate: async () => {
    const options = { body: { at: daemonNow() } };
    return (await (await request("POST", "/update/fetch", options)).json()) as Update;
  },
  cancelFetch: () => request("POST", "/update/cancel"),
  restart: () => request("POST", "/restart", { body: { at: daemonNow() } }),
  factoryReset: (confirm: string) =>
    request("POST", "/factory-reset", { body: { confirm, at: daemonNow() } }),
  log: async (service: string) => (await request("GET", `/logs?service=${service}`)).text(),
  authorityUrl: "/api/v1/authority.crt",
  /** Whether there is an authority of the appliance's own to be trusted. */
  hasAuthority: () =>
    request("HEAD", "/authority.crt").then(
      () => true,
      () => false,
    ),
  streamUrl: (seat: string) => `/api/v1${seatPath(seat)}/stream.mjpeg`,
  socketUrl: (seat: string) =>
    `${location.origin.replace(/^http/, "ws")}/api/v1${seatPath(seat)}/socket`,
};

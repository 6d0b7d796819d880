/**
 * Turns browser key events into messages about physical keys.
 *
 * Browsers and desktops keep events for themselves, so what is noted as down is compared with each
 * event that says what is down; a key whose keyup is never reported is a tap, and losing the focus
 * releases everything. While the screen has the focus every key belongs to the target, Tab and Escape
 * too; core/wayOut.ts knows how to leave it.
 */
import {
  codeOf,
  hasNoKeyup,
  isModifier,
  mayBeDown,
  textOf,
  type Flags,
  type Platform,
} from "../core/keyRules";
import type { ToDaemon } from "../core/protocol";
import { watchForWayOut } from "../core/wayOut";

/** Windows makes AltGr of a left Control that nobody pressed and a right Alt, at the same time. */
const ALT_GR_MS = 10;
/** Where the key calls itself AltGr there is less doubt, and on a busy machine times differ more. */
const NAMED_ALT_GR_MS = 50;

export type KeyboardPorts = {
  send: (message: ToDaemon) => void;
  /** Types what has no key on this keyboard: dictation, a macro pad, an emoji panel. */
  text: (text: string) => void;
  /** A key came that says neither which it is nor what it types. */
  nameless: () => void;
  /** Moves the focus off the screen. */
  leave: () => void;
  /** Whether right Control twice is a way off the screen, or the target's like all else. */
  rightControlLeaves: () => boolean;
  document: EventTarget & { hasFocus: () => boolean };
  window: EventTarget;
  platform: Platform;
};

export type Keyboard = {
  /** The daemon has released what is down: it hears of that again once the next event shows it. */
  forgotten: () => void;
  undo: () => void;
};

export function attachKeyboard(target: EventTarget, ports: KeyboardPorts): Keyboard {
  const { platform } = ports;
  const abort = new AbortController();
  const { signal } = abort;
  /** What is down: by its code, the `key` with which it went down. */
  const down = new Map<string, string>();
  /** What of it the daemon knows. */
  const told = new Set<string>();
  const wayOut = watchForWayOut(ports.rightControlLeaves);
  /** A left Control of which it is not known yet whether somebody pressed it. */
  let heldBack: string | null = null;
  let controlSince = -Infinity;
  let heldBackTimer: ReturnType<typeof setTimeout> | undefined;

  /** Sends a key, and says whether it was the last of a way out. */
  const put = (code: string, isDown: boolean, now: number, name = ""): boolean => {
    if (isDown) {
      down.set(code, name);
      told.add(code);
    } else {
      down.delete(code);
      told.delete(code);
    }
    ports.send({ type: "key", code, down: isDown });
    return wayOut.key(code, isDown, now);
  };

  const tap = (code: string, now: number) => {
    if (down.has(code)) put(code, false, now);
    put(code, true, now);
    put(code, false, now);
  };

  const releaseAll = () => {
    clearTimeout(heldBackTimer);
    heldBack = null;
    down.clear();
    told.clear();
    wayOut.forget();
    ports.send({ type: "release" });
  };

  const leave = () => {
    releaseAll();
    ports.leave();
  };

  const sendHeldBack = () => {
    clearTimeout(heldBackTimer);
    if (heldBack === null) return;
    const key = heldBack;
    heldBack = null;
    put("ControlLeft", true, controlSince, key);
  };

  /** Forgets the left Control of an AltGr, and takes it back if it has been sent. */
  const dropControl = (now: number) => {
    clearTimeout(heldBackTimer);
    heldBack = null;
    if (down.has("ControlLeft")) put("ControlLeft", false, now);
  };

  const isAltGr = (code: string | null, { key, timeStamp, repeat }: KeyboardEvent) => {
    if (platform !== "windows" || code !== "AltRight" || repeat) return false;
    const limit = key === "AltGraph" ? NAMED_ALT_GR_MS : ALT_GR_MS;
    return timeStamp - controlSince < limit;
  };

  /** Releases the modifiers that an event shows to be up, whose keyup went to somebody else. */
  const reconcile = (event: Flags & Event, own: string | null) => {
    for (const [code, name] of [...down]) {
      if (code === own || !isModifier(code)) continue;
      if (!mayBeDown(code, name, event)) put(code, false, event.timeStamp);
      else if (!told.has(code)) put(code, true, event.timeStamp, name);
    }
  };

  /** On a Mac no key comes up while Command is down. */
  const isCommandChord = (event: KeyboardEvent, code: string) =>
    platform === "mac" &&
    !isModifier(code) &&
    (event.metaKey || down.has("MetaLeft") || down.has("MetaRight"));

  const press = (event: KeyboardEvent) => {
    const code = codeOf(event);
    event.preventDefault();
    // Windows tells of a key that went down just before another window took the focus.
    if (!ports.document.hasFocus()) return;
    const { key, timeStamp: now } = event;
    if (isAltGr(code, event)) dropControl(now);
    else sendHeldBack();
    reconcile(event, code);
    if (code === null) {
      const text = textOf(event);
      if (text === null) ports.nameless();
      else ports.text(text);
      return;
    }
    if (isCommandChord(event, code)) return tap(code, now);
    if (event.repeat) {
      // The target repeats for itself, unless it has been told that the key is up.
      if (down.has(code) && !told.has(code)) put(code, true, now, key);
      return;
    }
    if (code === "CapsLock" && platform === "mac") return tap(code, now);
    if (hasNoKeyup(platform, key)) return tap(code, now);
    if (code === "ControlLeft" && platform === "windows" && !down.has(code)) {
      heldBack = key;
      controlSince = now;
      heldBackTimer = setTimeout(sendHeldBack, ALT_GR_MS);
      return;
    }
    // Its keyup was missed; without one the target would take both for one long press.
    if (down.has(code) && !isModifier(code)) put(code, false, now);
    if (put(code, true, now, key)) leave();
  };

  const lift = (event: KeyboardEvent) => {
    const code = codeOf(event);
    event.preventDefault();
    if (code === null) return;
    const { timeStamp: now } = event;
    sendHeldBack();
    reconcile(event, code);
    // macOS says that Caps Lock went down when its lamp goes on, and up when it goes off.
    if (code === "CapsLock" && platform === "mac") return tap(code, now);
    if (platform === "windows") {
      if (code === "PrintScreen" && !down.has(code)) return tap(code, now);
      if (hasNoKeyup(platform, event.key)) return;
      // AltGr's own, which never went down.
      if (code === "ControlLeft" && !down.has(code) && down.has("AltRight")) return;
      // Of two Shifts it reports only the last to come up.
      const other = code === "ShiftLeft" ? "ShiftRight" : "ShiftLeft";
      if (/^Shift/.test(code) && down.has(other)) put(other, false, now);
    }
    if (code.startsWith("Meta") && platform === "mac") {
      for (const held of [...down.keys()]) if (!isModifier(held)) put(held, false, now);
    }
    // Not asked whether it was down: a keyup too many is harmless, one too few is a stuck key.
    if (put(code, false, now)) leave();
  };

  const point = (event: Flags & Event) => {
    sendHeldBack();
    if (event.type !== "pointermove") wayOut.spoil();
    reconcile(event, null);
  };

  const on = <E extends Event>(where: EventTarget, name: string, does: (event: E) => void) =>
    where.addEventListener(name, (event) => does(event as E), { signal, capture: true });
  on(target, "keydown", press);
  on(target, "keyup", lift);
  for (const name of ["pointerdown", "pointermove", "wheel"]) on(target, name, point);
  on(target, "focusout", releaseAll);
  on(ports.document, "visibilitychange", releaseAll);
  on(ports.window, "pagehide", releaseAll);
  // No page may keep Ctrl-W, which deletes a word on the target; but it may ask before it closes.
  on(ports.window, "beforeunload", (event) => {
    if ([...down.keys()].some((code) => /^(Control|Meta)/.test(code))) event.preventDefault();
  });
  return {
    forgotten: () => told.clear(),
    undo() {
      clearTimeout(heldBackTimer);
      abort.abort();
    },
  };
}

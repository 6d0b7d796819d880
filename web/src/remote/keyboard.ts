/**
 * Turns browser key events into messages about physical keys.
 *
 * The browser forgets to send keyup when the page loses focus in the middle of a chord, so losing
 * focus releases everything. While the screen has the focus every key belongs to the target, Tab
 * and Escape too; pressing the right Control key twice is the way out for whoever has no mouse.
 */
import type { ToDaemon } from "../core/protocol";

/** Two taps further apart than this are two taps. */
const LEAVE_MS = 500;
const MODIFIER = /^(Control|Shift|Alt|Meta)(Left|Right)$/;

export type KeyboardPorts = {
  send: (message: ToDaemon) => void;
  /** Moves the focus off the screen. */
  leave: () => void;
  document: EventTarget;
  window: EventTarget;
  /** macOS sends CapsLock down when the lamp goes on and up when it goes off. */
  capsLockToggles: boolean;
};

export function attachKeyboard(target: EventTarget, ports: KeyboardPorts): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  const down = new Set<string>();
  let leaving: { stage: "pressed" | "tapped"; since: number } | null = null;

  const key = (code: string, isDown: boolean) => {
    if (isDown) down.add(code);
    else down.delete(code);
    ports.send({ type: "key", code, down: isDown });
  };

  const releaseAll = () => {
    down.clear();
    leaving = null;
    ports.send({ type: "release" });
  };

  const press = (event: KeyboardEvent) => {
    event.preventDefault();
    // The target repeats for itself, and an on-screen keyboard names no physical key.
    if (event.repeat || event.code === "") return;
    if (event.code === "CapsLock" && ports.capsLockToggles) return tap(event.code);
    const again =
      leaving?.stage === "tapped" && event.timeStamp - leaving.since < LEAVE_MS ? leaving : null;
    key(event.code, true);
    if (event.code !== "ControlRight") leaving = null;
    else if (again === null) leaving = { stage: "pressed", since: event.timeStamp };
    else {
      releaseAll();
      ports.leave();
    }
  };

  const lift = (event: KeyboardEvent) => {
    event.preventDefault();
    if (event.code === "") return;
    if (event.code === "CapsLock" && ports.capsLockToggles) return tap(event.code);
    if (leaving?.stage === "pressed") leaving = { stage: "tapped", since: event.timeStamp };
    // macOS swallows the keyup of whatever was pressed while Command was held.
    if (event.code.startsWith("Meta")) {
      for (const code of [...down].filter((held) => !MODIFIER.test(held))) key(code, false);
    }
    // Not asked whether it was down: a keyup too many is harmless, one too few is a stuck key.
    key(event.code, false);
  };

  const tap = (code: string) => {
    key(code, true);
    key(code, false);
  };

  const on = (where: EventTarget, name: string, does: (event: KeyboardEvent) => void) =>
    where.addEventListener(name, (event) => does(event as KeyboardEvent), { signal });
  on(target, "keydown", press);
  on(target, "keyup", lift);
  on(target, "blur", releaseAll);
  on(ports.document, "visibilitychange", releaseAll);
  on(ports.window, "pagehide", releaseAll);
  // No page may keep Ctrl-W, which deletes a word on the target; but it may ask before it closes.
  on(ports.window, "beforeunload", (event) => {
    if ([...down].some((code) => /^(Control|Meta)/.test(code))) event.preventDefault();
  });
  return () => abort.abort();
}

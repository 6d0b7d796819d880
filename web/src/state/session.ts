/**
 * Knows who is logged in, and asks again whenever that may have changed.
 */
import { signal } from "@preact/signals";
import { backoff } from "../core/backoff";
import type { Session } from "../core/protocol";
import { api, asRefusal, onSessionEnd, type Refusal } from "../remote/api";

/** Null until the daemon has answered once. */
export const session = signal<Session | null>(null);
/** Why the daemon could not be asked; null when it could. */
export const sessionProblem = signal<Refusal | null>(null);

const wait = backoff();
let retry: ReturnType<typeof setTimeout> | undefined;

export async function loadSession(): Promise<void> {
  clearTimeout(retry);
  try {
    session.value = await api.session();
    sessionProblem.value = null;
    wait.reset();
  } catch (cause) {
    sessionProblem.value = asRefusal(cause);
    // The page may be faster than a daemon that has just been started.
    retry = setTimeout(() => void loadSession(), wait.next());
  }
}

onSessionEnd(() => void loadSession());

export async function logOut(): Promise<void> {
  await api.logout();
  await loadSession();
}

/**
 * Knows the appliance itself: what it runs, how an update of it goes, and that it is restarting.
 *
 * News of an update come over the seat's socket; where there is none, they are asked for while
 * somebody looks. An upload goes on when the dialog is closed, so it lives here and not in a view.
 */
import { signal } from "@preact/signals";
import type { System, Update } from "../core/protocol";
import { api, asRefusal } from "../remote/api";

/** Null until somebody has asked. */
export const system = signal<System | null>(null);
/** Why the daemon could not be asked; null when it could. */
export const systemProblem = signal<string | null>(null);
export const update = signal<Update>({ phase: "idle", percent: 0, message: "" });
/** What went wrong before an installer could say anything. */
export const uploadProblem = signal<string | null>(null);
export const isRestarting = signal(false);

const RESTART_POLL_MS = 1500;
/** It is down within this, or not at all: then it is the same page that answers. */
const DOWN_MS = 30_000;

/** What this page uploads; another's upload is not ours to stop. */
const upload = signal<AbortController | null>(null);

export const isBusy = ({ phase }: Update): boolean =>
  phase === "receiving" || phase === "fetching" || phase === "checking" || phase === "installing";

/** Takes news of an update, by whichever way they came. */
export function hearUpdate({ phase, percent, message }: Update): void {
  const ended = isBusy(update.value) && !isBusy({ phase, percent, message });
  update.value = { phase, percent, message };
  // Something else is in the other slot now.
  if (ended && system.value !== null) void loadSystem();
}

export async function loadSystem(): Promise<void> {
  try {
    system.value = await api.system();
    systemProblem.value = null;
    hearUpdate(system.value.update);
  } catch (cause) {
    systemProblem.value = asRefusal(cause).message;
  }
}

export async function install(file: File): Promise<void> {
  if (upload.value !== null) return;
  const mine = new AbortController();
  upload.value = mine;
  uploadProblem.value = null;
  update.value = { phase: "receiving", percent: 0, message: "" };
  try {
    await api.update(file, mine.signal);
  } catch (cause) {
    uploadProblem.value = mine.signal.aborted ? "Cancelled." : asRefusal(cause).message;
  }
  upload.value = null;
  await loadSystem();
}

/** Has the appliance fetch the update that its configuration names. */
export async function fetchUpdate(): Promise<void> {
  uploadProblem.value = null;
  try {
    hearUpdate(await api.fetchUpdate());
  } catch (cause) {
    uploadProblem.value = asRefusal(cause).message;
  }
}

/** Whether what arrives can be stopped from this page. */
export const mayCancel = (): boolean =>
  update.value.phase === "fetching" ||
  (update.value.phase === "receiving" && upload.value !== null);

export async function cancel(): Promise<void> {
  if (upload.value !== null) return upload.value.abort();
  try {
    await api.cancelFetch();
    uploadProblem.value = "Cancelled.";
  } catch (cause) {
    uploadProblem.value = asRefusal(cause).message;
  }
  await loadSystem();
}

/** Waits for the appliance to go and to come back, then loads its page again: it may be another. */
export async function restart(ask: () => Promise<unknown>): Promise<void> {
  await ask();
  isRestarting.value = true;
  const since = Date.now();
  let wasDown = false;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, RESTART_POLL_MS));
    const answers = await api.health(AbortSignal.timeout(RESTART_POLL_MS * 2)).then(
      () => true,
      () => false,
    );
    wasDown ||= !answers;
    if (answers && (wasDown || Date.now() - since > DOWN_MS)) return location.reload();
  }
}

/**
 * Takes an update from the person's disk to the appliance, or has it fetched, and says how it went.
 */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { phaseLabel } from "../../core/labels";
import { api, asRefusal } from "../../remote/api";
import {
  cancel,
  fetchUpdate,
  install,
  isBusy,
  mayCancel,
  restart,
  update,
  uploadProblem,
} from "../../state/appliance";
import { Alert } from "../../ui/alert";

export function UpdateForm({ hasSlots, from }: { hasSlots: boolean; from: string | null }) {
  const input = useRef<HTMLInputElement>(null);
  const chosen = useSignal<File | null>(null);
  const problem = useSignal<string | null>(null);
  const now = update.value;
  const busy = isBusy(now);
  const mayInstall = chosen.value !== null && !busy;

  const send = async (file: File) => {
    problem.value = null;
    await install(file);
    if (uploadProblem.value !== null) return;
    // It has arrived; what is chosen next is another.
    chosen.value = null;
    if (input.current !== null) input.current.value = "";
  };

  return (
    <section aria-labelledby="update-title">
      <h3 id="update-title">Update</h3>
      {hasSlots ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (chosen.value !== null && !busy) void send(chosen.value);
          }}
        >
          <p class="hint">
            The new version is written beside the one that runs, which goes on meanwhile. It counts
            only after a restart in which it proves itself; otherwise this one comes back.
          </p>
          <div class="sources">
            <input
              ref={input}
              type="file"
              accept=".raucb"
              aria-label="Update file"
              disabled={busy}
              onChange={(event) => {
                chosen.value = event.currentTarget.files?.[0] ?? null;
                uploadProblem.value = null;
              }}
            />
            {from !== null && (
              <button type="button" disabled={busy} onClick={() => void fetchUpdate()}>
                Get it from {from}
              </button>
            )}
          </div>
          <Outcome />
          <Alert>{problem.value}</Alert>
          <div class="answers">
            {mayCancel() && (
              <button type="button" onClick={() => void cancel()}>
                Cancel
              </button>
            )}
            {now.phase === "ready" && (
              <button
                type="button"
                class="primary"
                onClick={() =>
                  void restart(api.restart).catch(
                    (cause: unknown) => (problem.value = asRefusal(cause).message),
                  )
                }
              >
                Restart into the update
              </button>
            )}
            {(now.phase !== "ready" || mayInstall) && (
              <button type="submit" class="primary" aria-disabled={!mayInstall}>
                Install
              </button>
            )}
          </div>
        </form>
      ) : (
        <p class="hint">
          This machine has no slots: it was not started from a Farhand card, so there is nowhere to
          install to.
        </p>
      )}
    </section>
  );
}

function Outcome() {
  const now = update.value;
  const text = uploadProblem.value ?? now.message;
  if (isBusy(now)) {
    return (
      <div class="progress" role="status" data-phase={now.phase}>
        <span>{phaseLabel(now)}</span>
        <progress aria-label="Update" max={100} value={now.percent} />
      </div>
    );
  }
  const failed = uploadProblem.value !== null || now.phase === "failed";
  return (
    <p class={failed ? "fault" : "done"} role={failed ? "alert" : "status"} data-phase={now.phase}>
      {text}
    </p>
  );
}

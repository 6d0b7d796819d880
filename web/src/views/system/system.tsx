/**
 * Shows the appliance itself to its administrators: what runs, and what can be done to it.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import {
  healthFaults,
  heatLabel,
  otherSlotLabel,
  startedLabel,
  supplyLabel,
} from "../../core/labels";
import type { System } from "../../core/protocol";
import { api, asRefusal } from "../../remote/api";
import {
  isBusy,
  isRestarting,
  loadSystem,
  restart,
  system,
  systemProblem,
  update,
} from "../../state/appliance";
import { Logs } from "./logs";
import { UpdateForm } from "./update";
import "./system.css";

/** Often enough to see a slot confirmed, and an update go on where there is no socket. */
const POLL_MS = 2000;

export function SystemDialog({ closed }: { closed: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);

  useEffect(() => {
    dialog.current?.showModal();
    void loadSystem();
    const poll = setInterval(() => {
      const waits = isBusy(update.value) || system.value?.confirmed === false;
      if (!isRestarting.value && (waits || system.value === null)) void loadSystem();
    }, POLL_MS);
    return () => clearInterval(poll);
  }, []);

  const now = system.value;
  return (
    <dialog ref={dialog} class="sheet" aria-labelledby="system-title" onClose={closed}>
      <header>
        <h2 id="system-title">System</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </header>
      {now !== null && <Facts now={now} />}
      {now !== null && <Faults now={now} />}
      <p class="fault" role="alert">
        {systemProblem.value}
      </p>
      {now !== null && (isRestarting.value ? <Restarting /> : <Actions now={now} />)}
      {now !== null && <Logs />}
    </dialog>
  );
}

function Facts({ now }: { now: System }) {
  const { version, build, variant, board, slot, confirmed, started, health } = now;
  const built = [build, variant].filter((word) => word !== null).join(", ");
  const other = otherSlotLabel(now);
  const supply = health && supplyLabel(health);
  const heat = health && heatLabel(health);
  return (
    <dl class="facts">
      <Fact name="Version">
        {version}
        {built !== "" && ` (${built})`}
      </Fact>
      <Fact name="Board">{board}</Fact>
      {slot !== null && (
        <Fact name="Runs from">
          Slot {slot},{" "}
          {confirmed === false ? "on trial until it has run well for half a minute" : "confirmed"}
        </Fact>
      )}
      {other !== null && <Fact name="Beside it">{other}</Fact>}
      <Fact name="Last start">{startedLabel(started)}</Fact>
      {supply !== null && <Fact name="Supply">{supply}</Fact>}
      {heat !== null && <Fact name="Temperature">{heat}</Fact>}
    </dl>
  );
}

/** What a person has to see to at the appliance itself. */
function Faults({ now }: { now: System }) {
  const faults = healthFaults(now.health);
  if (faults.length === 0) return null;
  return (
    <ul class="faults" aria-label="To see to">
      {faults.map((fault) => (
        <li key={fault} class="fault">
          {fault}
        </li>
      ))}
    </ul>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Restarting() {
  return (
    <p class="restarting" role="status">
      The appliance is restarting. This page comes back by itself, usually within a minute.
    </p>
  );
}

function Actions({ now }: { now: System }) {
  if (now.board === "simulated") {
    return (
      <p class="hint">
        This is a simulation: there is no appliance behind it to update, restart or reset.
      </p>
    );
  }
  return (
    <>
      <UpdateForm hasSlots={now.slots !== null} from={now.update_from} />
      <Restart />
      <FactoryReset host={now.host} />
    </>
  );
}

function Restart() {
  const asks = useSignal(false);
  const problem = useSignal<string | null>(null);
  const confirm = () =>
    restart(api.restart).catch((cause: unknown) => (problem.value = asRefusal(cause).message));
  return (
    <section aria-labelledby="restart-title">
      <h3 id="restart-title">Restart</h3>
      <p class="hint">Keys are let go of and relays open first. The target is not touched.</p>
      <p class="fault" role="alert">
        {problem.value}
      </p>
      <div class="answers">
        {asks.value && (
          <button
            type="button"
            ref={(button) => button?.focus()}
            onClick={() => (asks.value = false)}
          >
            Cancel
          </button>
        )}
        <button
          type="button"
          class={asks.value ? "primary" : ""}
          aria-disabled={isBusy(update.value)}
          onClick={() => {
            if (isBusy(update.value)) return;
            if (asks.value) void confirm();
            asks.value = !asks.value;
          }}
        >
          {asks.value ? "Confirm restart" : "Restart appliance"}
        </button>
      </div>
    </section>
  );
}

function FactoryReset({ host }: { host: string }) {
  const typed = useSignal("");
  const problem = useSignal<string | null>(null);
  const mayReset = typed.value.trim() === host && !isBusy(update.value);
  return (
    <details>
      <summary>Factory reset</summary>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (!mayReset) return;
          restart(() => api.factoryReset(host)).catch(
            (cause: unknown) => (problem.value = asRefusal(cause).message),
          );
        }}
      >
        <p class="hint">
          Forgets users, keys, configuration and certificate, and restarts without an owner. The
          claim code is then on the console and on the card, so you must be able to get there:
          whoever has it owns the appliance. The installed versions stay.
        </p>
        <div class="field">
          <label for="reset-host">
            Type <code>{host}</code> to confirm
          </label>
          <input
            id="reset-host"
            type="text"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            value={typed.value}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
        </div>
        <p class="fault" role="alert">
          {problem.value}
        </p>
        <div class="answers">
          <button type="submit" class="primary harsh" aria-disabled={!mayReset}>
            Forget everything
          </button>
        </div>
      </form>
    </details>
  );
}

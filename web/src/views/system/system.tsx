/**
 * Shows the appliance itself to its administrators: what runs, and what can be done to it.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
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
import { Alert } from "../../ui/alert";
import { ConfirmButton } from "../../ui/confirm";
import { Dialog } from "../../ui/dialog";
import { Field } from "../../ui/field";
import { Logs } from "./logs";
import { UpdateForm } from "./update";
import "./system.css";

/** Often enough to see a slot confirmed, and an update go on where there is no socket. */
const POLL_MS = 2000;

export function SystemDialog({ closed }: { closed: () => void }) {
  useEffect(() => {
    void loadSystem();
    const poll = setInterval(() => {
      const waits = isBusy(update.value) || system.value?.confirmed === false;
      if (!isRestarting.value && (waits || system.value === null)) void loadSystem();
    }, POLL_MS);
    return () => clearInterval(poll);
  }, []);

  const now = system.value;
  return (
    <Dialog title="System" class="system" closed={closed} closable>
      {() => (
        <>
          {now !== null && <Facts now={now} />}
          {now !== null && <Faults now={now} />}
          <Alert>{systemProblem.value}</Alert>
          {now !== null && (isRestarting.value ? <Restarting /> : <Actions now={now} />)}
          {now !== null && <Logs />}
        </>
      )}
    </Dialog>
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
  const problem = useSignal<string | null>(null);
  const confirm = () =>
    restart(api.restart).catch((cause: unknown) => (problem.value = asRefusal(cause).message));
  return (
    <section aria-labelledby="restart-title">
      <h3 id="restart-title">Restart</h3>
      <p class="hint">Keys are released and relays open first. The target is not touched.</p>
      <Alert>{problem.value}</Alert>
      <ConfirmButton
        label="Restart appliance"
        confirmLabel="Confirm restart"
        disabled={isBusy(update.value)}
        confirm={() => void confirm()}
      />
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
        <Field
          label={
            <>
              Type <code>{host}</code> to confirm
            </>
          }
          name="host"
          autocomplete="off"
          typed={(text) => (typed.value = text)}
        />
        <Alert>{problem.value}</Alert>
        <div class="answers">
          <button type="submit" class="primary harsh" aria-disabled={!mayReset}>
            Forget everything
          </button>
        </div>
      </form>
    </details>
  );
}

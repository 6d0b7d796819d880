/**
 * Shows the end of a log.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, asRefusal } from "../../remote/api";
import { Alert } from "../../ui/alert";

const SERVICES: readonly { service: string; name: string }[] = [
  { service: "serve", name: "Page and picture" },
  { service: "hands", name: "Keyboard, relays and updates" },
  { service: "guard", name: "Supervision" },
  { service: "kernel", name: "Kernel" },
];

export function Logs() {
  const text = useSignal<string | null>(null);
  const problem = useSignal<string | null>(null);
  const view = useRef<HTMLPreElement>(null);
  const choice = useRef<HTMLSelectElement>(null);

  const load = async () => {
    problem.value = null;
    try {
      text.value = (await api.log(choice.current?.value ?? "serve")) || "Nothing yet.";
    } catch (cause) {
      text.value = null;
      problem.value = asRefusal(cause).message;
    }
  };

  // What happened last is what is looked for.
  useEffect(() => view.current?.scrollTo(0, view.current.scrollHeight), [text.value]);

  return (
    <details onToggle={(event) => event.currentTarget.open && void load()}>
      <summary>Logs</summary>
      <div class="logs">
        <div class="answers">
          <select ref={choice} aria-label="Log" onChange={() => void load()}>
            {SERVICES.map(({ service, name }) => (
              <option key={service} value={service}>
                {name}
              </option>
            ))}
          </select>
          <button type="button" onClick={() => void load()}>
            Read again
          </button>
        </div>
        <Alert>{problem.value}</Alert>
        {text.value !== null && (
          <pre ref={view} tabIndex={0} role="region" aria-label="Log">
            {text.value}
          </pre>
        )}
      </div>
    </details>
  );
}

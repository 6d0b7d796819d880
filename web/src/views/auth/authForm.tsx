/**
 * Draws the frame of the forms to claim and to log in, and carries out what they ask for.
 *
 * A refusal stands next to the field it concerns; what concerns no field stands above the button.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { asRefusal } from "../../remote/api";
import { loadSession } from "../../state/session";
import { Alert } from "../../ui/alert";
import type { Fault } from "../../ui/field";
import { Mark } from "../../ui/icon";
import "../../ui/card.css";

type AuthFormProps = {
  title: string;
  action: string;
  intro?: ComponentChildren;
  fields: readonly string[];
  /** Which field a refusal's code is about. */
  concerns: (code: string) => string;
  /** What is wrong before anything is sent. */
  check: (values: Record<string, string>) => Fault | null;
  submit: (values: Record<string, string>) => Promise<unknown>;
  children: (fault: Fault | null) => ComponentChildren;
};

/** What was meant: a phone's keyboard puts a space behind a word, and only a password may have one. */
function valuesOf(form: HTMLFormElement): Record<string, string> {
  const fields = [...form.querySelectorAll("input")];
  return Object.fromEntries(
    fields.map(({ name, type, value }) => [name, type === "password" ? value : value.trim()]),
  );
}

export function AuthForm(props: AuthFormProps) {
  const fault = useSignal<Fault | null>(null);
  const busy = useSignal(false);

  const submit = async (form: HTMLFormElement) => {
    const values = valuesOf(form);
    fault.value = props.check(values);
    if (fault.value !== null || busy.value) return;
    busy.value = true;
    try {
      await props.submit(values);
      await loadSession();
    } catch (cause) {
      const { code, message, retryAfterS } = asRefusal(cause);
      const more = retryAfterS === null ? "" : ` Try again in ${retryAfterS} s.`;
      fault.value = { field: props.concerns(code), message: message + more };
      // Somebody else was faster, or the daemon has restarted: the other form may be the right one.
      if (code === "claimed" || code === "unclaimed") await loadSession();
    }
    busy.value = false;
  };

  const loose = fault.value !== null && !props.fields.includes(fault.value.field);
  return (
    <main class="centred">
      <form
        class="card"
        noValidate
        aria-label={props.title}
        onSubmit={(event) => {
          event.preventDefault();
          void submit(event.currentTarget);
        }}
      >
        <header>
          <Mark />
          <h1>{props.title}</h1>
        </header>
        {props.intro}
        {props.children(fault.value)}
        <Alert>{loose && fault.value?.message}</Alert>
        <button type="submit" class="primary" aria-disabled={busy.value}>
          {props.action}
        </button>
      </form>
    </main>
  );
}

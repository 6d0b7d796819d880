/**
 * Draws what the forms to claim and to log in are made of.
 *
 * A refusal stands next to the field it concerns and takes the focus there, so that it is heard as
 * well as seen; what concerns no field stands above the button.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { asRefusal } from "../../remote/api";
import { loadSession } from "../../state/session";
import { Mark } from "../../ui/icon";
import "../../ui/alert.css";
import "../../ui/card.css";
import "../../ui/field.css";

/** What is wrong, and with which field; a name that is no field means the form as a whole. */
export type Fault = { field: string; message: string };

type FieldProps = {
  label: string;
  name: string;
  secret?: boolean;
  autocomplete: string;
  hint?: ComponentChildren;
  fault: Fault | null;
  autofocus?: boolean;
};

export function Field({ label, name, secret = false, hint, fault, ...rest }: FieldProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const kind = secret ? ({ type: "password" } as const) : ({ type: "text" } as const);
  const wrong = fault?.field === name ? fault : null;
  useLayoutEffect(() => {
    if (rest.autofocus || wrong !== null) input.current?.focus();
  }, [wrong]);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        ref={input}
        id={id}
        name={name}
        {...kind}
        autocomplete={rest.autocomplete}
        autocapitalize="none"
        spellcheck={false}
        aria-invalid={wrong !== null}
        aria-describedby={`${id}-hint ${id}-fault`}
      />
      <div id={`${id}-hint`} class="hint">
        {hint}
      </div>
      <p id={`${id}-fault`} class="fault" role="alert">
        {wrong?.message}
      </p>
    </div>
  );
}

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

export function AuthForm(props: AuthFormProps) {
  const fault = useSignal<Fault | null>(null);
  const busy = useSignal(false);

  const submit = async (form: HTMLFormElement) => {
    const values = Object.fromEntries(
      [...new FormData(form)].map(([name, value]) => [name, String(value)]),
    );
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
      // Somebody else was faster, or the daemon started anew: the other form may be the right one.
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
        <p class="fault" role="alert">
          {loose && fault.value?.message}
        </p>
        <button type="submit" class="primary" aria-disabled={busy.value}>
          {props.action}
        </button>
      </form>
    </main>
  );
}

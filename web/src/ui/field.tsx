/**
 * Draws a field of a form.
 *
 * What is wrong stands next to the field it concerns and takes the focus there, so that it is heard
 * as well as seen.
 */
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { Alert } from "./alert";
import "./field.css";

/** What is wrong, and with which field; a name that is no field means the form as a whole. */
export type Fault = { field: string; message: string };

type Props = {
  label: ComponentChildren;
  name: string;
  secret?: boolean;
  autocomplete: string;
  hint?: ComponentChildren;
  fault?: Fault | null;
  autofocus?: boolean;
  typed?: (text: string) => void;
};

export function Field({ label, name, secret = false, hint, fault, typed, ...rest }: Props) {
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
        onInput={(event) => typed?.(event.currentTarget.value)}
      />
      <div id={`${id}-hint`} class="hint">
        {hint}
      </div>
      <Alert id={`${id}-fault`}>{wrong?.message}</Alert>
    </div>
  );
}

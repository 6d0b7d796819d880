/**
 * Asks once more before something happens that cannot be taken back.
 */
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import "./confirm.css";

type AnswersProps = {
  /** What the dangerous answer is called. */
  label: string;
  harsh?: boolean;
  disabled: boolean;
  cancel: () => void;
  confirm: () => void;
};

/** The two answers to a question that has just been asked. */
export function Answers({ label, harsh = false, disabled, cancel, confirm }: AnswersProps) {
  const harmless = useRef<HTMLButtonElement>(null);
  // The harmless answer has the focus, so that Enter twice cuts nobody's power. Once: whoever has
  // moved on to the other answer must not be taken back by the next status.
  useLayoutEffect(() => harmless.current?.focus(), []);
  return (
    <div class="answers">
      <button type="button" ref={harmless} onClick={cancel}>
        Cancel
      </button>
      <button
        type="button"
        class={harsh ? "primary harsh" : "primary"}
        aria-disabled={disabled}
        onClick={() => !disabled && confirm()}
      >
        {label}
      </button>
    </div>
  );
}

type ConfirmButtonProps = {
  label: string;
  /** What it is called once it has been pressed. */
  confirmLabel: string;
  disabled: boolean;
  confirm: () => void;
};

/** A button that becomes a question. */
export function ConfirmButton({ label, confirmLabel, disabled, confirm }: ConfirmButtonProps) {
  const asks = useSignal(false);
  const button = useRef<HTMLButtonElement>(null);
  const wasAsked = useRef(false);
  // The answer that had the focus is gone, and the focus with it.
  useLayoutEffect(() => {
    if (wasAsked.current && !asks.value) button.current?.focus();
    wasAsked.current = asks.value;
  }, [asks.value]);
  if (asks.value) {
    return (
      <Answers
        label={confirmLabel}
        disabled={disabled}
        cancel={() => (asks.value = false)}
        confirm={() => {
          asks.value = false;
          confirm();
        }}
      />
    );
  }
  return (
    <div class="answers">
      <button
        type="button"
        ref={button}
        aria-disabled={disabled}
        onClick={() => {
          if (!disabled) asks.value = true;
        }}
      >
        {label}
      </button>
    </div>
  );
}

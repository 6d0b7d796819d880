/**
 * Opens a panel below a toolbar button.
 *
 * It is a disclosure of ordinary buttons, not an ARIA menu: what is inside differs too much for one.
 * Escape and a press elsewhere close it.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon, type IconName } from "./icon";
import "./tool.css";
import "./panel.css";

type Props = {
  label: string;
  icon: IconName;
  disabled?: boolean;
  children: (close: () => void) => ComponentChildren;
};

export function Panel({ label, icon, disabled = false, children }: Props) {
  const open = useSignal(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const close = () => (open.value = false);

  useEffect(() => {
    if (!open.value) return undefined;
    const abort = new AbortController();
    const elsewhere = ({ target }: Event) => {
      if (target instanceof Node && !root.current?.contains(target)) close();
    };
    document.addEventListener("pointerdown", elsewhere, { signal: abort.signal });
    document.addEventListener("focusin", elsewhere, { signal: abort.signal });
    return () => abort.abort();
  }, [open.value]);

  return (
    <div
      class="disclosure"
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open.value) return;
        close();
        root.current?.querySelector("button")?.focus();
      }}
    >
      <button
        type="button"
        class="tool"
        aria-expanded={open.value}
        aria-controls={id}
        disabled={disabled}
        title={label}
        onClick={() => (open.value = !open.value)}
      >
        <Icon name={icon} />
        <span class="word">{label}</span>
      </button>
      <div id={id} class="panel" role="group" aria-label={`${label} menu`} hidden={!open.value}>
        {open.value && children(close)}
      </div>
    </div>
  );
}

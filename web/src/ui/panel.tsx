/**
 * Opens a panel below a toolbar button.
 *
 * It is a disclosure of ordinary buttons, not an ARIA menu: what is inside differs too much for one.
 * Escape and a press elsewhere close it, and so does whatever makes it unavailable.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";
import { sayProblem } from "../state/notices";
import { Icon, type IconName } from "./icon";
import "./tool.css";
import "./panel.css";

type Props = {
  label: string;
  icon: IconName;
  disabled?: boolean;
  /** Why it cannot be used for now. It is closed then, keeps the focus, and says so when pressed. */
  unavailable?: string | null;
  /** Moves the focus once what the panel is for has been done; the panel's button is given. */
  comeBack: (opener: HTMLElement) => void;
  children: (done: () => void) => ComponentChildren;
};

export function Panel({ label, icon, disabled = false, unavailable = null, ...rest }: Props) {
  const { comeBack, children } = rest;
  const open = useSignal(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const close = () => (open.value = false);
  const opener = () => root.current?.querySelector("button");
  const done = () => {
    close();
    const button = opener();
    if (button) comeBack(button);
  };

  useLayoutEffect(() => {
    if (unavailable === null || !open.value) return;
    // What has the focus is about to go, and would take the focus with it.
    if (root.current?.contains(document.activeElement)) opener()?.focus();
    close();
  }, [unavailable]);

  useEffect(() => {
    if (!open.value) return undefined;
    const abort = new AbortController();
    const elsewhere = ({ target }: Event) => {
      if (target instanceof Node && !root.current?.contains(target)) close();
    };
    const escape = ({ key }: KeyboardEvent) => {
      if (key !== "Escape") return;
      close();
      opener()?.focus();
    };
    document.addEventListener("pointerdown", elsewhere, { signal: abort.signal });
    document.addEventListener("focusin", elsewhere, { signal: abort.signal });
    // Not only below the panel: Safari gives no button the focus that is clicked.
    document.addEventListener("keydown", escape, { signal: abort.signal });
    return () => abort.abort();
  }, [open.value]);

  return (
    <div class="disclosure" ref={root}>
      <button
        type="button"
        class="tool"
        aria-expanded={open.value}
        aria-controls={id}
        disabled={disabled}
        aria-disabled={unavailable !== null}
        title={unavailable ?? label}
        onClick={() =>
          unavailable === null ? (open.value = !open.value) : sayProblem(unavailable)
        }
      >
        <Icon name={icon} />
        <span class="word">{label}</span>
      </button>
      <div id={id} class="panel" role="group" aria-label={`${label} menu`} hidden={!open.value}>
        {open.value && children(done)}
      </div>
    </div>
  );
}

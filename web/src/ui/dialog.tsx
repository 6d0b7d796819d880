/**
 * Opens a dialog above the page, for as long as it is drawn.
 *
 * Escape, and whatever in it calls `close`, closes it; `closed` then takes it off the page.
 */
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import "./dialog.css";

type Props = {
  title: string;
  class: string;
  closed: () => void;
  /** Offers a button to close it, where the content has none of its own. */
  closable?: boolean;
  /** Escape was pressed; preventing the event's default keeps the dialog open. */
  cancel?: (event: Event) => void;
  children: (close: () => void) => ComponentChildren;
};

export function Dialog(props: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const close = () => dialog.current?.close();

  // Before the effects of what is inside, which may want the focus: nothing has it in a closed one.
  useLayoutEffect(() => dialog.current?.showModal(), []);

  return (
    <dialog
      ref={dialog}
      class={`dialog ${props.class}`}
      aria-labelledby={id}
      onClose={props.closed}
      onCancel={props.cancel}
    >
      <header>
        <h2 id={id}>{props.title}</h2>
        {props.closable && (
          <button type="button" onClick={close}>
            Close
          </button>
        )}
      </header>
      {props.children(close)}
    </dialog>
  );
}

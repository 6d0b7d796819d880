/**
 * Shows how things went, above everything else and without taking the focus.
 */
import { dismiss, notices } from "../../state/notices";
import { Icon } from "../../ui/icon";
import "./notices.css";

export function Notices() {
  return (
    <div class="notices" role="log" aria-label="Messages">
      {notices.value.map(({ kind, text, matter }) => (
        <div class="notice" key={matter} data-kind={kind}>
          <span role={kind === "problem" ? "alert" : undefined}>{text}</span>
          <button
            type="button"
            class="plain"
            aria-label="Dismiss"
            // The screen keeps the focus, or a message would interrupt typing.
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => dismiss(matter)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

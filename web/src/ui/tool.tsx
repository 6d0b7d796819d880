/**
 * Draws a button of the toolbar.
 */
import { sayProblem } from "../state/notices";
import { Icon, type IconName } from "./icon";
import "./tool.css";

type Props = {
  icon: IconName;
  label: string;
  does: (button: HTMLButtonElement) => void;
  disabled?: boolean;
  /** Whether what it shows and hides is shown. */
  expanded?: boolean;
  /** Why it cannot be used for now. It keeps the focus then, and says so when pressed. */
  unavailable?: string | null;
  /** Shown as an icon alone, at any width. */
  quiet?: boolean;
};

export function Tool({ icon, label, does, quiet = false, ...rest }: Props) {
  const { disabled = false, expanded, unavailable = null } = rest;
  return (
    <button
      type="button"
      class="tool"
      title={unavailable ?? label}
      disabled={disabled}
      aria-expanded={expanded}
      aria-disabled={unavailable !== null}
      onClick={({ currentTarget }) =>
        unavailable === null ? does(currentTarget) : sayProblem(unavailable)
      }
    >
      <Icon name={icon} />
      <span class={quiet ? "unseen" : "word"}>{label}</span>
    </button>
  );
}

/**
 * Draws a button of the toolbar.
 */
import { Icon, type IconName } from "./icon";
import "./tool.css";

type Props = {
  icon: IconName;
  label: string;
  does: () => void;
  disabled?: boolean;
  /** Shown as an icon alone, at any width. */
  quiet?: boolean;
};

export function Tool({ icon, label, does, disabled = false, quiet = false }: Props) {
  return (
    <button type="button" class="tool" title={label} disabled={disabled} onClick={does}>
      <Icon name={icon} />
      <span class={quiet ? "unseen" : "word"}>{label}</span>
    </button>
  );
}

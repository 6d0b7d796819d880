/**
 * Says what is wrong, where it is wrong, and is heard when that changes.
 *
 * It is drawn while nothing is wrong too: a screen reader announces what changes in an element that
 * it knows, and not one that arrives together with its text.
 */
import type { ComponentChildren } from "preact";
import "./alert.css";

export function Alert({ id, children }: { id?: string; children: ComponentChildren }) {
  return (
    <p id={id} class="fault" role="alert">
      {children}
    </p>
  );
}

/**
 * Draws what an element shows enlarged, and keeps it in place when the element or the picture changes.
 */
import { settle, WHOLE, type Size, type View } from "../core/geometry";

export type Viewing = {
  view: () => View;
  show: (view: View) => void;
  /** The picture has another size, or the element. */
  refit: () => void;
};

/** Enlarged, the element draws its children by its properties `--zoom`, `--pan-x` and `--pan-y`. */
export function startViewing(element: () => HTMLElement | null, picture: () => Size): Viewing {
  let view = WHOLE;

  const show = (next: View) => {
    const target = element();
    if (target === null) return;
    view = next;
    target.dataset["enlarged"] = String(view.scale !== 1);
    target.style.setProperty("--zoom", String(view.scale));
    target.style.setProperty("--pan-x", `${view.x}px`);
    target.style.setProperty("--pan-y", `${view.y}px`);
  };

  return {
    view: () => view,
    show,
    refit() {
      const box = element()?.getBoundingClientRect();
      if (box !== undefined && view.scale !== 1) show(settle(view, box, picture()));
    },
  };
}

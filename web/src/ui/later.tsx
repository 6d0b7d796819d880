/**
 * Loads a view when somebody opens it for the first time, so that the page itself comes sooner.
 */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { sayProblem } from "../state/notices";

type Closable = { closed: () => void };

export function later<Props extends Closable>(
  load: () => Promise<ComponentType<Props>>,
): ComponentType<Props> {
  const loaded = signal<ComponentType<Props> | null>(null);
  return function Later(props: Props) {
    useEffect(() => {
      if (loaded.value !== null) return;
      load().then(
        (view) => (loaded.value = view),
        () => {
          sayProblem("This part of the page did not load. Try again, or reload the page.");
          props.closed();
        },
      );
    }, []);
    const View = loaded.value;
    return View === null ? null : <View {...props} />;
  };
}

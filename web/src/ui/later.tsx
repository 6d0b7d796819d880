/**
 * Loads a view when somebody opens it for the first time, so that the page itself comes sooner.
 *
 * After an update the appliance has the parts of another page. Only a reload helps then, and when to
 * is for the person to say.
 */
import { signal, useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { sayProblem } from "../state/notices";
import { Dialog } from "./dialog";

type Closable = { closed: () => void };

export function later<Props extends Closable>(
  load: () => Promise<ComponentType<Props>>,
): ComponentType<Props> {
  const loaded = signal<ComponentType<Props> | null>(null);
  return function Later(props: Props) {
    const outdated = useSignal(false);
    useEffect(() => {
      if (loaded.value !== null) return;
      load().then(
        (view) => (loaded.value = view),
        async () => {
          outdated.value = await isOutdated();
          if (outdated.value) return;
          sayProblem("This part of the page did not load. Try again, or reload the page.");
          props.closed();
        },
      );
    }, []);
    const View = loaded.value;
    if (outdated.value) return <Outdated closed={props.closed} />;
    return View === null ? null : <View {...props} />;
  };
}

/** Whether the page that the appliance has now begins with another script than this one. */
async function isOutdated(): Promise<boolean> {
  try {
    const page = await fetch("/", { cache: "no-store" });
    return page.ok && !(await page.text()).includes(new URL(import.meta.url).pathname);
  } catch {
    return false;
  }
}

function Outdated({ closed }: Closable) {
  return (
    <Dialog title="Farhand has a new version" class="" closed={closed} closable>
      {() => (
        <>
          <p>This page is of the version before. Reload it to go on.</p>
          <button type="button" class="primary" onClick={() => location.reload()}>
            Reload
          </button>
        </>
      )}
    </Dialog>
  );
}

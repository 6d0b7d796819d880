/**
 * Owns the element that shows the target's screen and takes its keys and pointer.
 */
import { useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { enlarge, isSharp, USUAL, type Size, type View } from "../../core/geometry";
import { platformOf } from "../../core/keyRules";
import { sentence } from "../../core/labels";
import { api } from "../../remote/api";
import { attachKeyboard } from "../../remote/keyboard";
import { attachPointer } from "../../remote/pointer";
import { attachTouch } from "../../remote/touch";
import { startViewing } from "../../remote/view";
import { attachStream } from "../../remote/stream";
import { keysOf } from "../../state/keys";
import { sayProblem } from "../../state/notices";
import type { Connection, Seat } from "../../state/seat";
import { rightControlLeaves, wayOut } from "../../state/wayOut";
import { Lost } from "./lost";
import "./screen.css";

const OVERLAY: Record<Connection, string | null> = {
  connecting: "Connecting…",
  open: null,
  lost: "Reconnecting…",
  watching: null,
};

const platform = platformOf(navigator.platform);

type Props = {
  seat: Seat;
  element: RefObject<HTMLDivElement | null>;
  /** Moves the focus off the screen. */
  leave: () => void;
  /** What lies over the picture. */
  children: ComponentChildren;
};

export function Screen({ seat, element, leave, children }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSignal<Size | null>(null);
  // Input never depends on a picture.
  const picture = () => size.value ?? USUAL;
  const takenAt = useRef<number | null>(null);
  const sharp = useSignal(false);
  const watching = useComputed(() => seat.connection.value === "watching");
  const mayType = useComputed(() => seat.me.value?.privileges.includes("input") === true);
  const viewing = useMemo(() => startViewing(() => element.current, picture), []);
  const measure = () => {
    const box = element.current?.getBoundingClientRect();
    if (box === undefined || size.value === null) return;
    sharp.value = isSharp(enlarge(box, viewing.view()), size.value, devicePixelRatio);
  };

  useEffect(() => {
    if (canvas.current === null) return undefined;
    const stream = attachStream(canvas.current, {
      shown: (seq) => seat.send({ type: "shown", seq }),
      drawn: (ageMs) => (takenAt.current = Date.now() - ageMs),
      resized: (next) => (size.value = next),
    });
    const unwatch = seat.watch(stream.show);
    return () => {
      unwatch();
      stream.undo();
    };
  }, [seat]);

  useEffect(() => {
    const target = element.current;
    if (target === null || !mayType.value || watching.value) return undefined;
    const keyboard = attachKeyboard(target, {
      send: seat.send,
      text: keysOf(seat).text,
      nameless: () =>
        sayProblem("The browser does not say which key that was, so it was not passed on."),
      leave,
      rightControlLeaves: () => rightControlLeaves.value,
      document,
      window,
      platform,
    });
    const pointer = attachPointer(target, {
      picture,
      view: viewing.view,
      send: seat.send,
      wheels: { platform, isFirefox: /Firefox\//.test(navigator.userAgent) },
    });
    const undoRelease = seat.whenReleased(() => {
      keyboard.forgotten();
      pointer.forgotten();
    });
    return () => {
      undoRelease();
      keyboard.undo();
      pointer.undo();
    };
  }, [seat, mayType.value, watching.value]);

  // Whoever may only watch can still enlarge what they watch.
  useEffect(() => {
    const target = element.current;
    if (target === null) return undefined;
    const touch = attachTouch(target, {
      picture,
      view: viewing.view,
      show(view: View) {
        viewing.show(view);
        measure();
      },
      send: (message) => {
        if (mayType.value && !watching.value) seat.send(message);
      },
      holdArmed: keysOf(seat).holdArmed,
    });
    const undoRelease = seat.whenReleased(touch.forgotten);
    return () => {
      undoRelease();
      touch.undo();
    };
  }, [seat]);

  useEffect(() => {
    const target = element.current;
    if (target === null) return undefined;
    target.focus({ preventScroll: true });
    const refit = () => {
      viewing.refit();
      measure();
    };
    const observer = new ResizeObserver(refit);
    observer.observe(target);
    const undoRatio = watchPixelRatio(measure);
    const unsubscribe = size.subscribe(refit);
    return () => {
      observer.disconnect();
      undoRatio();
      unsubscribe();
    };
  }, []);

  const connection = seat.connection.value;
  const reason = seat.reason.value;
  const isLost = seat.status.value.lost_ms !== undefined;
  const hasPicture = size.value !== null;
  const overlay = OVERLAY[connection] ?? (hasPicture || isLost ? null : "Waiting for a picture…");
  return (
    <main
      class="stage"
      data-connection={connection}
      data-live={!isLost}
      data-range={seat.status.value.range}
    >
      <div
        ref={element}
        class="screen"
        role="application"
        tabIndex={0}
        aria-label={`Screen of ${seat.id}`}
        aria-describedby="screen-help"
        data-sharp={sharp.value}
        data-input={mayType.value && !watching.value}
      >
        <canvas ref={canvas} width={0} height={0} hidden={watching.value} />
        {watching.value && <img src={api.streamUrl(seat.id)} alt="" draggable={false} />}
      </div>
      <p id="screen-help" class="unseen">
        Every key goes to the target while its screen has the focus. {wayOut()}
      </p>
      {connection === "open" && isLost && (
        <Lost status={seat.status.value} takenAt={() => takenAt.current} hasPicture={hasPicture} />
      )}
      {!watching.value && overlay !== null && (
        <p class="overlay" role={reason === null ? undefined : "alert"}>
          <span class="spinner" />
          {reason === null ? overlay : `${sentence(reason)} Trying again…`}
        </p>
      )}
      {connection === "open" && mayType.value && <p class="invite">Click the screen to type</p>}
      {children}
    </main>
  );
}

/** Calls when the window moves to a display with other pixels; its size may stay as it is. */
function watchPixelRatio(changed: () => void): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  const watch = () => {
    const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    const change = () => {
      changed();
      watch();
    };
    query.addEventListener("change", change, { signal, once: true });
  };
  watch();
  return () => abort.abort();
}

/**
 * Owns the element that shows the target's screen and takes its keys and pointer.
 */
import { useComputed, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isSharp, type Size } from "../../core/geometry";
import { platformOf } from "../../core/keyRules";
import { wayOutWords } from "../../core/wayOut";
import { api } from "../../remote/api";
import { attachKeyboard } from "../../remote/keyboard";
import { attachPointer } from "../../remote/pointer";
import { attachStream } from "../../remote/stream";
import { keysOf } from "../../state/keys";
import { sayProblem } from "../../state/notices";
import type { Connection, Seat } from "../../state/seat";
import { rightControlLeaves } from "../../state/wayOut";
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
};

export function Screen({ seat, element, leave }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSignal<Size | null>(null);
  const sharp = useSignal(false);
  const watching = useComputed(() => seat.connection.value === "watching");
  const mayType = useComputed(() => seat.me.value?.privileges.includes("input") === true);

  useEffect(() => {
    if (canvas.current === null) return undefined;
    const stream = attachStream(canvas.current, {
      shown: (seq) => seat.send({ type: "shown", seq }),
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
    const undoPointer = attachPointer(target, {
      picture: () => size.value,
      send: seat.send,
      platform,
    });
    // What was held over a lost connection is nobody's until it is seen to be down still.
    const unsubscribe = seat.connection.subscribe((now) => {
      if (now !== "open") keyboard.forgotten();
    });
    return () => {
      unsubscribe();
      keyboard.undo();
      undoPointer();
    };
  }, [seat, mayType.value, watching.value]);

  useEffect(() => {
    const target = element.current;
    if (target === null) return undefined;
    target.focus({ preventScroll: true });
    const measure = () => {
      const box = target.getBoundingClientRect();
      sharp.value = size.value !== null && isSharp(box, size.value, devicePixelRatio);
    };
    const observer = new ResizeObserver(measure);
    observer.observe(target);
    const unsubscribe = size.subscribe(measure);
    return () => {
      observer.disconnect();
      unsubscribe();
    };
  }, []);

  const connection = seat.connection.value;
  const overlay = OVERLAY[connection] ?? (size.value === null ? "Waiting for a picture…" : null);
  return (
    <main class="stage" data-connection={connection}>
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
        Every key goes to the target while its screen has the focus.{" "}
        {wayOutWords(platform, rightControlLeaves.value)}
      </p>
      {watching.value && (
        <p class="banner">
          View only: this network lets no WebSocket through, and keyboard and mouse need one.
        </p>
      )}
      {!watching.value && overlay !== null && (
        <p class="overlay">
          <span class="spinner" />
          {overlay}
        </p>
      )}
      {connection === "open" && mayType.value && <p class="invite">Click the screen to type</p>}
    </main>
  );
}

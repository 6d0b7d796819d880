/**
 * Says why there is no picture, and how old the one is that is seen.
 *
 * It lies over the picture and lets everything through. The status line announces what becomes of the
 * signal, so this is text to be read, and is not announced.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { agoLabel, signalLabel } from "../../core/labels";
import type { Status } from "../../core/protocol";
import "./lost.css";

type Props = {
  status: Status;
  /** When the picture was captured that is seen. */
  takenAt: () => number | null;
  hasPicture: boolean;
};

export function Lost({ status, takenAt, hasPicture }: Props) {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const since = useMemo(() => Date.now() - (status.lost_ms ?? 0), [status]);
  const { text, tone } = signalLabel(status.signal);
  // An age has an end in the picture's header, so the loss may be known to be longer ago.
  const seen = Math.min(since, takenAt() ?? since);
  return (
    <div class="lost" data-tone={tone} data-picture={hasPicture}>
      <h2>{text}</h2>
      <p>{status.advice}</p>
      {status.reason !== null && <p class="reason">{status.reason}</p>}
      {hasPicture && <p class="reason">Last picture {agoLabel(now.value - seen)}</p>}
    </div>
  );
}

/**
 * Types a text on the target, chunk by chunk, once all of it is known to be typable.
 *
 * What no key types is marked and named while the text is edited. What could not be typed stays in the
 * field, so that it can be mended and typed from there.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { chunks } from "../../core/chunks";
import { sentence } from "../../core/labels";
import { plain } from "../../core/plain";
import { describe, lengthOf, timeLeft } from "../../core/typing";
import { api, asRefusal, daemonNow } from "../../remote/api";
import { sayResult } from "../../state/notices";
import type { Seat } from "../../state/seat";
import { findUntypable, type Findings } from "../../state/untypable";
import { Alert } from "../../ui/alert";
import { Dialog } from "../../ui/dialog";
import { MarkedText } from "./markedText";
import "./paste.css";

const NOTHING: Findings = { untypable: [], problem: null };
/** A longer text is checked when it is to be typed, and not at each key. */
const LONGEST_LIVE = 20_000;

type Progress = { typed: number; total: number; since: number };

/** What says nothing of whether the daemon has done it. */
const LEAVES_DOUBT: ReadonlySet<string> = new Set(["stalled", "unreachable"]);

export function PasteDialog({ seat, closed }: { seat: Seat; closed: () => void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const text = useSignal("");
  const findings = useSignal(NOTHING);
  const checks = useRef({ busy: false, again: false });
  // Typing stops between two chunks: what the daemon has been given, it types to the end, unless the
  // connection is lost, and only so is the count of what was typed true.
  const stop = useSignal(false);
  const busy = useSignal(false);
  const progress = useSignal<Progress | null>(null);
  const problem = useSignal<string | null>(null);

  useEffect(() => {
    area.current?.focus();
    return () => void (stop.value = true);
  }, []);

  /** One question at a time, and the last one about what stands there then. */
  const check = async () => {
    checks.current.again = checks.current.busy;
    if (checks.current.busy) return;
    checks.current.busy = true;
    const asked = text.value;
    const found = asked.length <= LONGEST_LIVE ? await findUntypable(seat.id, asked) : NOTHING;
    checks.current.busy = false;
    if (checks.current.again) return void check();
    // Whether the daemon can be asked matters once it is to type.
    findings.value = { ...found, problem: null };
  };

  const put = (next: string) => {
    if (area.current !== null && area.current.value !== next) area.current.value = next;
    text.value = next;
    void check();
  };

  const type = async (close: () => void) => {
    if (busy.value || seat.unavailable.value !== null) return;
    const whole = text.value;
    const parts = chunks(whole);
    const total = parts.reduce((sum, part) => sum + lengthOf(part), 0);
    problem.value = total === 0 ? "There is nothing to type." : null;
    if (total === 0) return;
    busy.value = true;
    stop.value = false;
    const signal = seat.steady();
    findings.value = await findUntypable(seat.id, whole, signal);
    const { untypable, problem: unchecked } = findings.value;
    if (untypable.length === 0 && unchecked === null) await typeAll(parts, total, signal, close);
    else
      problem.value = `${unchecked === null ? "" : sentence(unchecked)} Nothing was typed.`.trim();
    busy.value = false;
  };

  const typeAll = async (
    parts: readonly string[],
    total: number,
    signal: AbortSignal,
    close: () => void,
  ) => {
    // Each part is asked for when the one before it is done, so that none is typed after a stall.
    let at = daemonNow();
    const since = performance.now();
    let typed = 0;
    let left = parts;
    let why = "Cancelled.";
    try {
      for (const part of parts) {
        progress.value = { typed, total, since };
        if (stop.value) break;
        at = await api.type(seat.id, part, { at, signal });
        typed += lengthOf(part);
        left = left.slice(1);
      }
    } catch (cause) {
      const { code, message } = asRefusal(cause);
      why = sentence(message);
      if (LEAVES_DOUBT.has(code)) {
        // Offered again, it might be typed twice.
        left = left.slice(1);
        why += " How much of the next few characters was typed, only the target's screen shows.";
      }
    }
    progress.value = null;
    if (typed === total) {
      sayResult(`${typed} characters have been typed.`);
      close();
    } else {
      const rest = typed === 0 || left.length === 0 ? "" : "; the rest is still here";
      problem.value = `${why} ${typed} of ${total} characters were typed${rest}.`;
      put(left.join(""));
    }
  };

  const now = progress.value;
  const { untypable } = findings.value;
  const unavailable = seat.unavailable.value;
  const isMendable = plain(text.value) !== text.value;
  const length = lengthOf(text.value);
  return (
    <Dialog
      title="Paste text"
      class="paste"
      closed={closed}
      cancel={(event) => {
        // Escape stops the typing first, so that nobody has to guess what was typed.
        if (!busy.value) return;
        event.preventDefault();
        stop.value = true;
      }}
    >
      {(close) => (
        <form
          method="dialog"
          onSubmit={(event) => {
            event.preventDefault();
            void type(close);
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
            event.preventDefault();
            void type(close);
          }}
        >
          <p class="hint">
            It is typed on the target as a keyboard with the US layout would. Ctrl+Enter starts.
          </p>
          <MarkedText
            element={area}
            label="Text to type"
            text={text.value}
            refused={untypable}
            readOnly={busy.value}
            typed={(next) => {
              problem.value = null;
              put(next);
            }}
          />
          <div class="untypable">
            <p role="status">
              {0 < untypable.length &&
                `No key types ${describe(text.value, untypable).join(", ")}.`}
            </p>
            {0 < untypable.length && isMendable && (
              <button type="button" onClick={() => put(plain(text.value))}>
                Replace by plain quotes, dashes and spaces
              </button>
            )}
          </div>
          <progress
            aria-label="Typed so far"
            max={now?.total ?? 1}
            value={now?.typed ?? 0}
            data-running={now !== null}
          />
          <Alert>{unavailable ?? problem.value}</Alert>
          <div class="answers">
            <span class="hint">
              {now !== null
                ? `${timeLeft(now.typed, now.total, performance.now() - now.since)} left`
                : 0 < length && `${length} characters, ${timeLeft(0, length, 0)}`}
            </span>
            <button type="button" onClick={() => (busy.value ? (stop.value = true) : close())}>
              {busy.value && stop.value ? "Stopping…" : "Cancel"}
            </button>
            <button
              type="submit"
              class="primary"
              aria-disabled={busy.value || unavailable !== null}
            >
              {now === null ? "Type it" : `${now.typed} of ${now.total}`}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

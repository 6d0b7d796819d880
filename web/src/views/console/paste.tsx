/**
 * Types a text on the target, chunk by chunk.
 *
 * What could not be typed stays in the field, so that it can be mended and typed from there.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { chunks } from "../../core/chunks";
import { api, asRefusal } from "../../remote/api";
import { sayResult } from "../../state/notices";
import type { Seat } from "../../state/seat";
import { Alert } from "../../ui/alert";
import { Dialog } from "../../ui/dialog";
import "./paste.css";

export function PasteDialog({ seat, closed }: { seat: Seat; closed: () => void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  // Typing stops between two chunks: what the daemon has been given, it types to the end, and only
  // so is the count of what was typed true.
  const stop = useSignal(false);
  const progress = useSignal<{ typed: number; total: number } | null>(null);
  const problem = useSignal<string | null>(null);

  useEffect(() => {
    area.current?.focus();
    return () => void (stop.value = true);
  }, []);

  const type = async (field: HTMLTextAreaElement, close: () => void) => {
    const parts = chunks(field.value);
    const total = parts.reduce((sum, part) => sum + [...part].length, 0);
    if (total === 0 || progress.value !== null) return;
    problem.value = null;
    stop.value = false;
    let typed = 0;
    let left = parts;
    let why = "Cancelled.";
    try {
      for (const part of parts) {
        progress.value = { typed, total };
        if (stop.value) break;
        await api.type(seat.id, part);
        typed += [...part].length;
        left = left.slice(1);
      }
    } catch (cause) {
      why = asRefusal(cause).message;
    }
    progress.value = null;
    if (left.length === 0) {
      sayResult(`${typed} characters have been typed.`);
      close();
    } else {
      problem.value = `${why} ${typed} of ${total} characters were typed; the rest is still here.`;
      field.value = left.join("");
    }
  };

  const now = progress.value;
  return (
    <Dialog
      title="Paste text"
      class="paste"
      closed={closed}
      cancel={(event) => {
        // Escape stops the typing first, so that nobody has to guess what was typed.
        if (progress.value === null) return;
        event.preventDefault();
        stop.value = true;
      }}
    >
      {(close) => (
        <form
          method="dialog"
          onSubmit={(event) => {
            event.preventDefault();
            if (area.current !== null) void type(area.current, close);
          }}
        >
          <p class="hint">It is typed on the target as a keyboard with the US layout would.</p>
          <textarea
            ref={area}
            aria-label="Text to type"
            rows={8}
            spellcheck={false}
            autocapitalize="none"
            readOnly={now !== null}
          />
          <progress
            aria-label="Typed so far"
            max={now?.total ?? 1}
            value={now?.typed ?? 0}
            data-running={now !== null}
          />
          <Alert>{problem.value}</Alert>
          <div class="answers">
            <button type="button" onClick={() => (now === null ? close() : (stop.value = true))}>
              {now !== null && stop.value ? "Stopping…" : "Cancel"}
            </button>
            <button type="submit" class="primary" aria-disabled={now !== null}>
              {now === null ? "Type it" : `${now.typed} of ${now.total}`}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

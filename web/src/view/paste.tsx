/**
 * Types a text on the target, piece by piece.
 *
 * What could not be typed stays in the field, so that it can be mended and typed from there.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, asRefusal } from "../api";
import { sayResult } from "../notices";
import { pieces } from "../pieces";
import type { Seat } from "../seat";

export function PasteDialog({ seat, closed }: { seat: Seat; closed: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const abort = useRef<AbortController | null>(null);
  const progress = useSignal<{ typed: number; total: number } | null>(null);
  const problem = useSignal<string | null>(null);

  useEffect(() => {
    dialog.current?.showModal();
    area.current?.focus();
    return () => abort.current?.abort();
  }, []);

  const type = async (field: HTMLTextAreaElement) => {
    const parts = pieces(field.value);
    const total = parts.reduce((sum, part) => sum + [...part].length, 0);
    if (total === 0 || progress.value !== null) return;
    const running = new AbortController();
    abort.current = running;
    problem.value = null;
    let typed = 0;
    let left = parts;
    try {
      for (const part of parts) {
        progress.value = { typed, total };
        await api.type(seat.id, part, running.signal);
        typed += [...part].length;
        left = left.slice(1);
      }
      sayResult(`${typed} characters have been typed.`);
      dialog.current?.close();
    } catch (cause) {
      const why = running.signal.aborted ? "Cancelled." : asRefusal(cause).message;
      problem.value = `${why} ${typed} of ${total} characters were typed; the rest is still here.`;
      field.value = left.join("");
    }
    progress.value = null;
  };

  const now = progress.value;
  return (
    <dialog
      ref={dialog}
      class="paste"
      aria-labelledby="paste-title"
      onClose={closed}
      onCancel={() => abort.current?.abort()}
    >
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          if (area.current !== null) void type(area.current);
        }}
      >
        <h2 id="paste-title">Paste text</h2>
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
        <p class="fault" role="alert">
          {problem.value}
        </p>
        <div class="answers">
          <button
            type="button"
            onClick={() => (now === null ? dialog.current?.close() : abort.current?.abort())}
          >
            Cancel
          </button>
          <button type="submit" class="primary" aria-disabled={now !== null}>
            {now === null ? "Type it" : `${now.typed} of ${now.total}`}
          </button>
        </div>
      </form>
    </dialog>
  );
}

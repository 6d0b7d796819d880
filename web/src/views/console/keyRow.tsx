/**
 * Gives a phone the keys that firmware wants.
 *
 * A key stays down as long as a finger is on it, so that the target repeats it like a real one.
 */
import { ESCAPE, ROW, TAB, type Chord } from "../../core/chords";
import { keysOf } from "../../state/keys";
import type { Seat } from "../../state/seat";
import "./keyRow.css";

export function KeyRow({ seat }: { seat: Seat }) {
  return (
    <div class="keyrow" role="group" aria-label="Keys for firmware">
      {[ESCAPE, TAB, ...ROW].map((chord) => (
        <Cap key={chord.name} chord={chord} label={chord.label} seat={seat} />
      ))}
    </div>
  );
}

function Cap({ chord, label, seat }: { chord: Chord; label: string; seat: Seat }) {
  const hold = (down: boolean) => {
    for (const code of chord.codes) seat.send({ type: "key", code, down });
  };
  return (
    <button
      type="button"
      aria-label={chord.name}
      onPointerDown={(event) => {
        // The screen keeps the focus, and with it the other keys that are held.
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        hold(true);
      }}
      onLostPointerCapture={() => hold(false)}
      // No pointer was involved: a keyboard or a screen reader pressed the button.
      onClick={(event) => event.detail === 0 && keysOf(seat).chord(chord)}
      onContextMenu={(event) => event.preventDefault()}
    >
      {label}
    </button>
  );
}

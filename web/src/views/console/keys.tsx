/**
 * Offers the chords that a browser or its desktop keeps for itself.
 */
import { CHORDS, FUNCTION_KEYS, sendChord, type Chord } from "../../core/chords";
import type { Seat } from "../../state/seat";
import { Panel } from "../../ui/panel";
import "./keys.css";

type Props = {
  seat: Seat;
  disabled: boolean;
  unavailable: string | null;
  focusScreen: () => void;
};

export function KeysPanel({ seat, focusScreen, ...rest }: Props) {
  return (
    <Panel label="Keys" icon="keys" {...rest}>
      {(close) => {
        const press = (chord: Chord) => {
          close();
          focusScreen();
          sendChord(chord, seat.send);
        };
        const button = (chord: Chord) => (
          <button type="button" key={chord.name} onClick={() => press(chord)}>
            {chord.name}
          </button>
        );
        return (
          <>
            <div class="chords">{CHORDS.map(button)}</div>
            <div class="function-keys">{FUNCTION_KEYS.map(button)}</div>
          </>
        );
      }}
    </Panel>
  );
}

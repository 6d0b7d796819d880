/**
 * Offers the chords that a browser or its desktop keeps for itself.
 */
import { CHORDS, FUNCTION_KEYS, SWITCH_CHORDS, type Chord } from "../../core/chords";
import { keysOf } from "../../state/keys";
import type { Seat } from "../../state/seat";
import { rightControlLeaves, setRightControlLeaves } from "../../state/wayOut";
import { Panel } from "../../ui/panel";
import "./keys.css";

type Props = {
  seat: Seat;
  disabled: boolean;
  unavailable: string | null;
  comeBack: (opener: HTMLElement) => void;
};

export function KeysPanel({ seat, ...rest }: Props) {
  return (
    <Panel label="Keys" icon="keys" {...rest}>
      {(done) => {
        const press = (chord: Chord) => {
          done();
          keysOf(seat).chord(chord);
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
            <div class="chords switch-keys" role="group" aria-label="For a KVM switch">
              {SWITCH_CHORDS.map(button)}
            </div>
            <label class="choice">
              <input
                type="checkbox"
                checked={rightControlLeaves.value}
                onChange={(event) => setRightControlLeaves(event.currentTarget.checked)}
              />
              Right Ctrl twice leaves the screen
            </label>
          </>
        );
      }}
    </Panel>
  );
}

/**
 * Types keys and text that come from buttons, soft keyboards and dictation, not from a keyboard.
 *
 * They go over HTTP, where the daemon gives each stroke its time and its own modifiers, proves that the
 * target took it, and works where no WebSocket gets through.
 */
import { signal, type ReadonlySignal } from "@preact/signals";
import type { Chord } from "../core/chords";
import { inTurn, type Repetition, type Step } from "../core/inTurn";
import { codeOfCharacter } from "../core/keyRules";
import { sentence } from "../core/labels";
import { api, asRefusal, daemonNow } from "../remote/api";
import { sayProblem } from "./notices";
import type { Seat } from "./seat";

export type Keys = {
  /** Modifiers that wait for the next key. */
  armed: ReadonlySignal<readonly string[]>;
  /** Arms a modifier for the next key, or thinks better of it. */
  toggle: (code: string) => void;
  /** Presses a key as long as a finger does, so that the target repeats it; the return lifts it. */
  hold: (code: string) => () => void;
  /** Holds what is armed around a click. */
  holdArmed: () => () => void;
  chord: (chord: Pick<Chord, "codes" | "times"> & { isRepeat?: boolean }) => void;
  text: (text: string) => void;
};

const TOO_SLOW = "Keys came faster than they could be typed. What still waited was dropped.";

const opened = new WeakMap<Seat, Keys>();

/** The keys of a seat; all who ask share what is armed. */
export function keysOf(seat: Seat): Keys {
  const known = opened.get(seat);
  if (known !== undefined) return known;
  const keys = openKeys(seat);
  opened.set(seat, keys);
  return keys;
}

function openKeys(seat: Seat): Keys {
  const armed = signal<readonly string[]>([]);
  const { type: post, busy } = inTurn({
    now: daemonNow,
    post(step, at) {
      const asked = { at, signal: seat.steady() };
      return "text" in step
        ? api.type(seat.id, step.text, asked)
        : api.chord(seat.id, step.chord, asked);
    },
    failed(cause, dropped) {
      const { code, message } = asRefusal(cause);
      const waited = `Keystrokes that waited behind it and were not typed: ${dropped}.`;
      sayProblem(dropped === 0 ? message : `${sentence(message)} ${waited}`, `refused ${code}`);
    },
    dropped: () => sayProblem(TOO_SLOW, "too slow"),
  });

  /** Nothing waits for the connection to come back: a late key is a wrong key. */
  const type = (step: Step, how?: Repetition) => {
    const why = seat.unavailable.value;
    if (why === null) post(step, how);
    else sayProblem(why);
  };

  const take = () => {
    const taken = armed.value;
    armed.value = [];
    return taken;
  };

  const chord: Keys["chord"] = ({ codes, ...how }) => type({ chord: [...take(), ...codes] }, how);

  const press = (codes: readonly string[]) => {
    for (const code of codes) seat.send({ type: "key", code, down: true });
    return () => {
      for (const code of [...codes].reverse()) seat.send({ type: "key", code, down: false });
    };
  };

  return {
    armed,
    toggle(code) {
      const rest = armed.value.filter((other) => other !== code);
      armed.value = rest.length < armed.value.length ? rest : [...rest, code];
    },
    hold(code) {
      // Over the socket it would overtake what is still being typed, and without one not arrive.
      if (busy() || seat.connection.value !== "open") {
        chord({ codes: [code] });
        return () => undefined;
      }
      return press([...take(), code]);
    },
    holdArmed: () => press(take()),
    chord,
    text(text) {
      const modifiers = take();
      if (modifiers.length === 0) return type({ text });
      const [first = ""] = text;
      const code = codeOfCharacter(first);
      if (code === null) {
        sayProblem(`“${first}” is not one key, so it cannot be pressed with a modifier.`);
        return;
      }
      type({ chord: [...modifiers, code] });
      const rest = text.slice(first.length);
      if (rest !== "") type({ text: rest });
    },
  };
}

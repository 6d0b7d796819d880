/**
 * Presses the target's buttons, after asking once.
 */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { isSuspended, powerLabel, sentence } from "../../core/labels";
import type { Press } from "../../core/protocol";
import { api, asRefusal, daemonNow } from "../../remote/api";
import { sayResult } from "../../state/notices";
import type { Seat } from "../../state/seat";
import { Alert } from "../../ui/alert";
import { Answers } from "../../ui/confirm";
import { Panel } from "../../ui/panel";
import "./power.css";

type Choice = {
  press: Press;
  /** Only a hold takes a time. */
  seconds?: number;
  name: string;
  question: string;
  done: (seconds: number) => string;
  harsh: boolean;
};

/** Boards cut power after four seconds; the margin covers slow ones. */
const HOLD_SECONDS = 5.5;

const CHOICES: readonly Choice[] = [
  {
    press: "tap",
    name: "Press power button",
    question: "Press the power button briefly? A running system will usually shut down.",
    done: () => "The power button has been pressed.",
    harsh: false,
  },
  {
    press: "hold",
    seconds: HOLD_SECONDS,
    name: `Force off (${HOLD_SECONDS} s)`,
    question: "Hold the power button until the power is cut? Unsaved work will be lost.",
    done: (seconds) => `The power button is being held for ${seconds} s.`,
    harsh: true,
  },
  {
    press: "reset",
    name: "Reset",
    question: "Press the reset button? Unsaved work will be lost.",
    done: () => "The reset button has been pressed.",
    harsh: true,
  },
];

type Props = {
  seat: Seat;
  disabled: boolean;
  unavailable: string | null;
  comeBack: (opener: HTMLElement) => void;
};

export function PowerPanel({ seat, ...rest }: Props) {
  return (
    <Panel label="Power" icon="power" {...rest}>
      {(done) => <Choices seat={seat} done={done} />}
    </Panel>
  );
}

function Choices({ seat, done }: { seat: Seat; done: () => void }) {
  const chosen = useSignal<Choice | null>(null);
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);
  const { power } = seat.status.value;
  const choice = chosen.value;
  const asked = useRef<Press | null>(null);

  /** After a question the focus goes back to what asked it: the answer that had it is gone. */
  const comeBack = (press: Press, button: HTMLButtonElement | null) => {
    if (button === null || asked.current !== press) return;
    asked.current = null;
    button.focus();
  };

  const confirm = async ({ press, seconds, done: result }: Choice) => {
    const asked = { at: daemonNow(), signal: seat.steady() };
    busy.value = true;
    problem.value = null;
    try {
      const pressed = await api.power(seat.id, press, seconds, asked);
      sayResult(result(pressed.seconds));
      done();
    } catch (cause) {
      problem.value = sentence(asRefusal(cause).message);
    }
    busy.value = false;
  };

  /** Asks nothing first: a target that is awake does not notice, and one that sleeps loses nothing. */
  const wake = async () => {
    busy.value = true;
    problem.value = null;
    try {
      await api.wake(seat.id);
      sayResult("The target has been signalled to wake up.");
      done();
    } catch (cause) {
      problem.value = sentence(asRefusal(cause).message);
    }
    busy.value = false;
  };

  if (choice === null) {
    return (
      <>
        <p class="dotted" data-tone={powerLabel(power).tone}>
          <i class="dot" />
          {powerLabel(power).text}
        </p>
        <Alert>{problem.value}</Alert>
        {isSuspended(seat.status.value) && (
          <button type="button" disabled={busy.value} onClick={() => void wake()}>
            Wake by keyboard
          </button>
        )}
        {CHOICES.map((each) => (
          <button
            type="button"
            key={each.press}
            class={each.harsh ? "harsh" : ""}
            ref={(button) => comeBack(each.press, button)}
            onClick={() => {
              asked.current = each.press;
              chosen.value = each;
            }}
          >
            {each.name}
          </button>
        ))}
      </>
    );
  }
  return (
    <div class="question">
      <p>{choice.question}</p>
      <Alert>{problem.value}</Alert>
      <Answers
        label="Confirm"
        harsh={choice.harsh}
        disabled={busy.value}
        cancel={() => {
          chosen.value = null;
          problem.value = null;
        }}
        confirm={() => void confirm(choice)}
      />
    </div>
  );
}

/**
 * Shows one seat: its tools, its screen and its state.
 *
 * The part of the address after `#` may name the seat; without it the first one is shown.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, asRefusal } from "../../remote/api";
import { showsKeyRow } from "../../state/display";
import { isFullScreen } from "../../state/fullscreen";
import { openSeat, type Seat } from "../../state/seat";
import { Banner } from "./banner";
import { KeyRow } from "./keyRow";
import { Notices } from "./notices";
import { Screen } from "./screen";
import { StatusLine } from "./status";
import { Toolbar } from "./toolbar";
import "../../ui/card.css";
import "./console.css";

export function Console({ user }: { user: string }) {
  const shown = useSignal<{ seat: Seat; seats: readonly string[] } | null>(null);
  const problem = useSignal<string | null>(null);
  const root = useRef<HTMLDivElement>(null);
  const screen = useRef<HTMLDivElement>(null);
  const toolbar = useRef<HTMLElement>(null);
  const focusScreen = () => screen.current?.focus({ preventScroll: true });
  const focusTools = () => toolbar.current?.querySelector<HTMLElement>("button:enabled")?.focus();

  useEffect(() => {
    // Counts the entries, so that only the newest one opens its seat.
    let entry = 0;
    const leave = () => {
      shown.value?.seat.close();
      shown.value = null;
    };
    const enter = async () => {
      const wanted = seatInAddress();
      const mine = ++entry;
      try {
        const all = await api.seats();
        const names = all.map(({ seat }) => seat);
        const status = all.find(({ seat }) => seat === wanted) ?? (wanted ? undefined : all[0]);
        if (mine !== entry) return;
        leave();
        if (status !== undefined) shown.value = { seat: openSeat(status), seats: names };
        problem.value =
          status === undefined ? `There is no seat “${wanted}”, only ${names.join(", ")}.` : null;
        document.title = status === undefined ? "Farhand" : `${status.seat} · Farhand`;
      } catch (cause) {
        if (mine !== entry) return;
        problem.value = asRefusal(cause).message;
      }
    };
    const change = () => void enter();
    addEventListener("hashchange", change);
    change();
    return () => {
      document.title = "Farhand";
      entry += 1;
      removeEventListener("hashchange", change);
      leave();
    };
  }, []);

  if (shown.value === null) {
    return (
      <main class="centred" aria-busy={problem.value === null}>
        {problem.value !== null && (
          <div class="card">
            <h1>No picture to show</h1>
            <p role="alert">{problem.value}</p>
            <button type="button" class="primary" onClick={() => location.assign("/")}>
              Try the first seat
            </button>
          </div>
        )}
      </main>
    );
  }
  const { seat, seats } = shown.value;
  return (
    <div class="console" ref={root} data-fullscreen={isFullScreen.value} key={seat.id}>
      <Toolbar
        seat={seat}
        seats={seats}
        user={user}
        element={toolbar}
        root={root}
        screen={screen}
        focusScreen={focusScreen}
      />
      <Banner seat={seat} />
      <Screen seat={seat} element={screen} leave={focusTools}>
        <Notices />
      </Screen>
      {showsKeyRow.value && <KeyRow seat={seat} />}
      <StatusLine seat={seat} />
    </div>
  );
}

function seatInAddress(): string {
  const name = location.hash.slice(1);
  try {
    return decodeURIComponent(name);
  } catch {
    // A stray percent sign is nobody's seat, and is shown as it was typed.
    return name;
  }
}

/**
 * Holds what can be done to the target and to the page.
 */
import { useSignal, type Signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { snapshotName } from "../../core/labels";
import type { Privilege } from "../../core/protocol";
import { api, asRefusal } from "../../remote/api";
import { isForFingers, isNarrow, showsKeyRow, toggleKeyRow } from "../../state/display";
import { isFullScreen, toggleFullScreen } from "../../state/fullscreen";
import { sayProblem, sayResult } from "../../state/notices";
import type { Seat } from "../../state/seat";
import { logOut, session } from "../../state/session";
import { nextTheme, theme } from "../../state/theme";
import { wayOut } from "../../state/wayOut";
import { Mark } from "../../ui/icon";
import { later } from "../../ui/later";
import { Panel } from "../../ui/panel";
import { Tool } from "../../ui/tool";
import { KeysPanel } from "./keys";
import { PasteDialog } from "./paste";
import { PowerPanel } from "./power";
import "./toolbar.css";

const SystemDialog = later(async () => (await import("../system/system")).SystemDialog);

/** Where the focus goes when something is closed; null while that is not open. */
type WayBack = Signal<(() => void) | null>;

type Props = {
  seat: Seat;
  seats: readonly string[];
  user: string;
  element: RefObject<HTMLElement | null>;
  root: RefObject<HTMLDivElement | null>;
  screen: RefObject<HTMLElement | null>;
  focusScreen: () => void;
};

export function Toolbar({ seat, seats, user, element, root, screen, focusScreen }: Props) {
  const paste: WayBack = useSignal(null);
  const sheet: WayBack = useSignal(null);
  const cameByPointer = useRef(false);
  const mayConfigure = session.value?.privileges.includes("configure") === true;
  // Refused are those who are known not to have it; until the seat has said so, nobody is.
  const here = seat.me.value?.privileges;
  const lacks = (privilege: Privilege) => here?.includes(privilege) === false;
  const full = isFullScreen.value;
  const unavailable = seat.unavailable.value;

  /** Back to the screen for whoever clicked from there, and for all others to what they pressed. */
  const wayBack = (opener: HTMLElement): (() => void) =>
    cameByPointer.current ? focusScreen : () => opener.focus();
  const comeBack = (opener: HTMLElement) => wayBack(opener)();
  const opens = (what: WayBack) => (button: HTMLElement) => {
    // A button of a panel is gone by then.
    const opener = button.closest(".disclosure")?.querySelector("button") ?? button;
    what.value = wayBack(opener);
  };
  const closes = (what: WayBack) => () => {
    what.value?.();
    what.value = null;
  };

  /** In a panel, which `done` closes, each has its word. */
  const pageTools = (done: (() => void) | null) => (
    <>
      <Tool
        icon={full ? "shrink" : "expand"}
        label={full ? "Leave full screen" : "Full screen"}
        does={() => {
          done?.();
          if (root.current !== null) void toggleFullScreen(root.current);
          focusScreen();
          if (!full && !lacks("input")) sayResult(wayOut());
        }}
      />
      {mayConfigure && (
        <Tool
          icon="gear"
          label="System"
          quiet={done === null}
          does={(button) => {
            opens(sheet)(button);
            done?.();
          }}
        />
      )}
      <Tool
        icon={theme.value}
        label={`Theme: ${theme.value}`}
        quiet={done === null}
        does={nextTheme}
      />
      <span class="user">{user}</span>
      <Tool icon="leave" label="Log out" quiet={done === null} does={() => attempt(logOut)} />
    </>
  );

  return (
    <header
      class="toolbar"
      ref={element}
      onPointerDownCapture={() =>
        (cameByPointer.current ||= document.activeElement === screen.current)
      }
      onKeyDownCapture={() => (cameByPointer.current = false)}
    >
      <Mark />
      <SeatName seat={seat} seats={seats} />
      <div class="tools" role="group" aria-label="Target">
        <PowerPanel
          seat={seat}
          disabled={lacks("power")}
          unavailable={unavailable}
          comeBack={comeBack}
        />
        <KeysPanel
          seat={seat}
          disabled={lacks("input")}
          unavailable={unavailable}
          comeBack={comeBack}
        />
        <Tool
          icon="paste"
          label="Paste text"
          disabled={lacks("input")}
          unavailable={unavailable}
          does={opens(paste)}
        />
        <Tool
          icon="camera"
          label="Screenshot"
          unavailable={unavailable}
          does={() => attempt(() => save(seat.id))}
        />
        {isForFingers.value && (
          <Tool icon="row" label="Key row" expanded={showsKeyRow.value} does={toggleKeyRow} />
        )}
      </div>
      <div class="tools" role="group" aria-label="Page">
        {isNarrow.value ? (
          <Panel label="More" icon="more" comeBack={comeBack}>
            {(done) => pageTools(done)}
          </Panel>
        ) : (
          pageTools(null)
        )}
      </div>
      {sheet.value !== null && <SystemDialog closed={closes(sheet)} />}
      {paste.value !== null && <PasteDialog seat={seat} closed={closes(paste)} />}
    </header>
  );
}

function SeatName({ seat, seats }: { seat: Seat; seats: readonly string[] }) {
  if (seats.length < 2) return <span class="seat">{seat.id}</span>;
  return (
    <select
      class="seat"
      aria-label="Seat"
      onChange={(event) => (location.hash = encodeURIComponent(event.currentTarget.value))}
    >
      {seats.map((name) => (
        <option key={name} selected={name === seat.id}>
          {name}
        </option>
      ))}
    </select>
  );
}

function attempt(does: () => Promise<void>): void {
  does().catch((cause: unknown) => sayProblem(asRefusal(cause).message));
}

async function save(seat: string): Promise<void> {
  const url = URL.createObjectURL(await api.snapshot(seat));
  const link = document.createElement("a");
  link.href = url;
  link.download = snapshotName(seat, new Date());
  link.click();
  sayResult(`Saved as ${link.download}.`);
  // The browser reads the picture after this turn; once it has begun, the URL is not needed.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

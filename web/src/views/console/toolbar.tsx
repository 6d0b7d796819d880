/**
 * Holds what can be done to the target and to the page.
 */
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { snapshotName } from "../../core/labels";
import type { Privilege } from "../../core/protocol";
import { api, asRefusal } from "../../remote/api";
import { isFullScreen, toggleFullScreen } from "../../state/fullscreen";
import { sayProblem, sayResult } from "../../state/notices";
import type { Seat } from "../../state/seat";
import { logOut, session } from "../../state/session";
import { nextTheme, theme } from "../../state/theme";
import { Mark } from "../../ui/icon";
import { Tool } from "../../ui/tool";
import { SystemDialog } from "../system/system";
import { KeysPanel } from "./keys";
import { PasteDialog } from "./paste";
import { PowerPanel } from "./power";
import "./toolbar.css";

type Props = {
  seat: Seat;
  seats: readonly string[];
  user: string;
  element: RefObject<HTMLElement | null>;
  root: RefObject<HTMLDivElement | null>;
  focusScreen: () => void;
};

export function Toolbar({ seat, seats, user, element, root, focusScreen }: Props) {
  const showsPaste = useSignal(false);
  const showsSystem = useSignal(false);
  const mayConfigure = session.value?.privileges.includes("configure") === true;
  // Refused are those who are known not to have it; until the seat has said so, nobody is.
  const here = seat.me.value?.privileges;
  const lacks = (privilege: Privilege) => here?.includes(privilege) === false;
  const full = isFullScreen.value;
  const unavailable = seat.unavailable.value;

  return (
    <header class="toolbar" ref={element}>
      <Mark />
      <SeatName seat={seat} seats={seats} />
      <div class="tools" role="group" aria-label="Target">
        <PowerPanel
          seat={seat}
          disabled={lacks("power")}
          unavailable={unavailable}
          focusScreen={focusScreen}
        />
        <KeysPanel
          seat={seat}
          disabled={lacks("input")}
          unavailable={unavailable}
          focusScreen={focusScreen}
        />
        <Tool
          icon="paste"
          label="Paste text"
          disabled={lacks("input")}
          unavailable={unavailable}
          does={() => (showsPaste.value = true)}
        />
        <Tool
          icon="camera"
          label="Screenshot"
          unavailable={unavailable}
          does={() => attempt(() => save(seat.id))}
        />
      </div>
      <div class="tools" role="group" aria-label="Page">
        <Tool
          icon={full ? "shrink" : "expand"}
          label={full ? "Leave full screen" : "Full screen"}
          does={() => {
            if (root.current !== null) void toggleFullScreen(root.current);
            focusScreen();
          }}
        />
        {mayConfigure && (
          <Tool icon="gear" label="System" quiet does={() => (showsSystem.value = true)} />
        )}
        <Tool icon={theme.value} label={`Theme: ${theme.value}`} quiet does={nextTheme} />
        <span class="user">{user}</span>
        <Tool icon="leave" label="Log out" quiet does={() => attempt(logOut)} />
      </div>
      {showsSystem.value && (
        <SystemDialog
          closed={() => {
            showsSystem.value = false;
            focusScreen();
          }}
        />
      )}
      {showsPaste.value && (
        <PasteDialog
          seat={seat}
          closed={() => {
            showsPaste.value = false;
            focusScreen();
          }}
        />
      )}
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

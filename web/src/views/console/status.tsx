/**
 * Says how the target and the way to it are, in one line.
 *
 * Words are announced to a screen reader when they change; figures change all the time and are not.
 * While the connection is lost only words are left, grey and with their time: a green lamp must mean now.
 */
import {
  asOfLabel,
  othersLabel,
  powerLabel,
  signalDetail,
  signalLabel,
  usbLabel,
  type Label,
} from "../../core/labels";
import type { Status } from "../../core/protocol";
import type { Connection, Seat } from "../../state/seat";
import { wayOutInShort } from "../../state/wayOut";
import "./status.css";

const CONNECTION: Record<Connection, Label> = {
  connecting: { text: "Connecting", tone: "waiting" },
  open: { text: "Connected", tone: "good" },
  lost: { text: "Reconnecting", tone: "bad" },
  watching: { text: "No WebSocket", tone: "waiting" },
};
const REFUSED: Label = { text: "Refused", tone: "bad" };

export function StatusLine({ seat }: { seat: Seat }) {
  const status = seat.status.value;
  const { mode } = status;
  const connection = seat.connection.value;
  const isLost = seat.unavailable.value !== null;
  const isRefused = seat.reason.value !== null;
  return (
    <div
      class="status"
      role="status"
      aria-label="Status"
      data-seat={status.seat}
      data-signal={status.signal}
      data-mode={mode === null ? "" : `${mode.width}x${mode.height}`}
      data-fps={status.fps}
      data-power={status.power}
      data-usb={status.udc?.state ?? "none"}
      data-connection={connection === "open" ? "open" : "lost"}
    >
      <Dotted label={isRefused ? REFUSED : CONNECTION[connection]} name="connection" />
      {isLost && <span>{asOfLabel(seat.knownAt.value, new Date())}:</span>}
      <Dotted label={signalLabel(status.signal)} title={signalDetail(status)} isPast={isLost} />
      {!isLost && <Figures seat={seat} />}
      {/* The screen's description says it to who cannot see it. */}
      <span class="way-out" aria-hidden="true">
        {wayOutInShort()}
      </span>
      {!isLost && <span class="gap" />}
      {!isLost && <People seat={seat} />}
      {!isLost && <Lamps lit={status.keyboard_leds} />}
      <Dotted label={usbLabel(status)} isPast={isLost} />
      {!isLost && <DiskLamp on={status.leds.disk} />}
      <Dotted label={powerLabel(status.power)} isPast={isLost} />
    </div>
  );
}

function Figures({ seat }: { seat: Seat }) {
  const { mode, fps } = seat.status.value;
  const latency = seat.latencyMs.value;
  return (
    <span class="figures" aria-live="off">
      {mode !== null && (
        <span>
          {mode.width} × {mode.height}
        </span>
      )}
      {mode !== null && <span class="fps">{fps.toFixed(0)} fps</span>}
      {latency !== null && (
        <span class="latency" title="From capture to this screen, the way back included">
          {latency < 10 ? latency.toFixed(1) : latency.toFixed(0)} ms
        </span>
      )}
    </span>
  );
}

function People({ seat }: { seat: Seat }) {
  const me = seat.me.value;
  const others = othersLabel(seat.status.value.viewers, me?.id ?? null);
  const viewOnly = me?.privileges.every((privilege) => privilege === "view") === true;
  return (
    <>
      {others !== null && <span class="others">Also here: {others}</span>}
      {viewOnly && <span class="tag">You may only watch</span>}
    </>
  );
}

function Lamps({ lit }: { lit: Status["keyboard_leds"] }) {
  return (
    <span class="lamps" aria-label="Keyboard lamps" aria-live="off" role="group">
      <Lamp on={lit.num} name="Num" />
      <Lamp on={lit.caps} name="Caps" />
      <Lamp on={lit.scroll} name="Scroll" />
    </span>
  );
}

function DiskLamp({ on }: { on: boolean | null }) {
  if (on === null) return null;
  return (
    <span class="dotted disk" aria-live="off" data-tone={on ? "busy" : "off"}>
      <i class="dot" />
      Disk
    </span>
  );
}

type DottedProps = { label: Label; title?: string; name?: string; isPast?: boolean };

function Dotted({ label, title, name = "", isPast = false }: DottedProps) {
  return (
    <span class={`dotted ${name}`} data-tone={isPast ? "off" : label.tone} title={title}>
      <i class="dot" />
      {label.text}
    </span>
  );
}

function Lamp({ on, name }: { on: boolean; name: string }) {
  return (
    <span class="lamp" data-on={on} title={`${name} Lock is ${on ? "on" : "off"}`}>
      {name}
      <span class="unseen">{on ? " on" : " off"}</span>
    </span>
  );
}

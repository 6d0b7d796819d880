/**
 * Says how the target and the way to it are, in one line.
 *
 * Words are announced to a screen reader when they change; figures change all the time and are not.
 */
import type { ComponentChildren } from "preact";
import { othersLabel, powerLabel, signalLabel, usbLabel, type Label } from "../../core/labels";
import type { Connection, Seat } from "../../state/seat";
import "./status.css";

const CONNECTION: Record<Connection, Label> = {
  connecting: { text: "Connecting", tone: "waiting" },
  open: { text: "Connected", tone: "good" },
  lost: { text: "Reconnecting", tone: "bad" },
  watching: { text: "View only", tone: "waiting" },
};

export function StatusLine({ seat }: { seat: Seat }) {
  const status = seat.status.value;
  const { mode, keyboard_leds: lamps, leds } = status;
  const connection = seat.connection.value;
  const latency = seat.latencyMs.value;
  const others = othersLabel(status.viewers, seat.me.value?.id ?? null);
  const viewOnly = seat.me.value?.privileges.every((privilege) => privilege === "view") === true;
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
      <Dotted label={CONNECTION[connection]} name="connection" />
      <Dotted label={signalLabel(status.signal)} title={status.device} />
      <span class="figures" aria-live="off">
        {mode !== null && (
          <span>
            {mode.width} × {mode.height}
          </span>
        )}
        {mode !== null && <span class="fps">{status.fps.toFixed(0)} fps</span>}
        {latency !== null && (
          <span class="latency" title="From capture to this screen, the way back included">
            {latency < 10 ? latency.toFixed(1) : latency.toFixed(0)} ms
          </span>
        )}
      </span>
      <span class="gap" />
      {others !== null && <span class="others">Also here: {others}</span>}
      {viewOnly && <span class="tag">You may only watch</span>}
      <span class="lamps" aria-label="Keyboard lamps" aria-live="off" role="group">
        <Lamp on={lamps.num} name="Num" />
        <Lamp on={lamps.caps} name="Caps" />
        <Lamp on={lamps.scroll} name="Scroll" />
      </span>
      <Dotted label={usbLabel(status.udc)} />
      {leds.disk !== null && (
        <span class="dotted disk" aria-live="off" data-tone={leds.disk ? "busy" : "off"}>
          <i class="dot" />
          Disk
        </span>
      )}
      <Dotted label={powerLabel(status.power)} />
    </div>
  );
}

function Dotted({ label, title, name = "" }: { label: Label; title?: string; name?: string }) {
  return (
    <span class={`dotted ${name}`} data-tone={label.tone} title={title}>
      <i class="dot" />
      {label.text}
    </span>
  );
}

function Lamp({ on, name }: { on: boolean; name: string }): ComponentChildren {
  return (
    <span class="lamp" data-on={on} title={`${name} Lock is ${on ? "on" : "off"}`}>
      {name}
      <span class="unseen">{on ? " on" : " off"}</span>
    </span>
  );
}

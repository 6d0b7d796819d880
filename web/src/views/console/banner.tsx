/**
 * Says what works where no WebSocket gets through, why none does, and what helps.
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../../remote/api";
import type { Seat } from "../../state/seat";
import "./banner.css";

export function Banner({ seat }: { seat: Seat }) {
  const watching = seat.connection.value === "watching";
  // Who has put another certificate in the place of ours has no authority to trust.
  const isOurs = useSignal(false);
  useEffect(() => {
    if (watching) void api.hasAuthority().then((has) => (isOurs.value = has));
  }, [watching]);
  if (!watching) return null;
  return (
    <details class="banner">
      <summary>
        No mouse, and no typing at the picture: no WebSocket gets through. Power, Keys and Paste
        text work.
      </summary>
      {isOurs.value && (
        <p>
          Most often the browser does not trust the certificate. It shows the page once you insist,
          but lets no WebSocket through; an iPhone or iPad never does.{" "}
          <a href={api.authorityUrl}>Download the certificate of this Farhand</a> and have it
          trusted: on an iPhone or iPad under Settings, Profile Downloaded, and then General, About,
          Certificate Trust Settings; elsewhere among the authorities of the browser or the system.
          Then reload this page.
        </p>
      )}
      <p>A proxy on the way that lets no WebSocket through does the same.</p>
    </details>
  );
}

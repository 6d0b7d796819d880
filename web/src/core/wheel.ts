/**
 * Gathers a browser's scroll distances into the detents of a mouse wheel.
 *
 * A touchpad reports many small distances and a wheel few large ones; the target only knows detents,
 * so what is left over waits for more.
 */

/** What browsers report for one detent, in each unit that `WheelEvent.deltaMode` knows. */
const PER_DETENT = [100, 3, 1] as const;
const REPORT_MAX = 127;

export type Scroll = { deltaX: number; deltaY: number; deltaMode: number };

export function gatherWheel(): (scroll: Scroll) => { dx: number; dy: number } | null {
  let restX = 0;
  let restY = 0;
  return ({ deltaX, deltaY, deltaMode }) => {
    const unit = PER_DETENT[deltaMode] ?? PER_DETENT[0];
    restX = add(restX, deltaX / unit);
    // The page scrolls down by positive distances; a wheel counts positive away from the user.
    restY = add(restY, -deltaY / unit);
    const dx = whole(restX);
    const dy = whole(restY);
    restX -= Math.trunc(restX);
    restY -= Math.trunc(restY);
    return dx === 0 && dy === 0 ? null : { dx, dy };
  };
}

/** A change of direction forgets the rest, or the first detent back would be swallowed. */
function add(rest: number, more: number): number {
  return rest * more < 0 ? more : rest + more;
}

function whole(distance: number): number {
  // Adding zero turns minus zero, which JSON would show, into zero.
  return Math.max(-REPORT_MAX, Math.min(REPORT_MAX, Math.trunc(distance))) + 0;
}

/**
 * Fills the display with an element and takes the keys that the desktop would keep.
 *
 * Alt-Tab, Escape and the Windows key reach a page only in full screen and only where the Keyboard
 * Lock API exists; elsewhere the menu of keys sends them.
 */
import { signal } from "@preact/signals";
import { sayProblem } from "./notices";

type KeyboardLock = { lock?: () => Promise<void>; unlock?: () => void };

export const isFullScreen = signal(false);

function keyboardLock(): KeyboardLock {
  return "keyboard" in navigator ? (navigator.keyboard as KeyboardLock) : {};
}

document.addEventListener("fullscreenchange", () => {
  isFullScreen.value = document.fullscreenElement !== null;
  if (!isFullScreen.value) keyboardLock().unlock?.();
  // Refused without HTTPS; the keys then stay with the desktop, as they were.
  else
    void keyboardLock()
      .lock?.()
      .catch(() => undefined);
});

export async function toggleFullScreen(element: Element): Promise<void> {
  try {
    if (document.fullscreenElement === null) await element.requestFullscreen();
    else await document.exitFullscreen();
  } catch {
    sayProblem("This browser does not allow full screen here.");
  }
}

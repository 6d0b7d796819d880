/**
 * Remembers whether right Ctrl twice leaves the screen.
 *
 * The browser keeps it: it depends on the KVM switch behind this seat and on this keyboard.
 */
import { signal } from "@preact/signals";
import { platformOf } from "../core/keyRules";
import { wayOutWords } from "../core/wayOut";

const KEY = "right-ctrl";
const TARGETS = "target";

export const rightControlLeaves = signal(kept());

/** How to leave the screen with this keyboard, for people. */
export const wayOut = (): string =>
  wayOutWords(platformOf(navigator.platform), rightControlLeaves.value);

/** The same where there is little room. */
export const wayOutInShort = (): string =>
  `${rightControlLeaves.value ? "Right Ctrl twice" : "Left Ctrl, Alt and Shift"} to leave the screen`;

function kept(): boolean {
  try {
    return localStorage.getItem(KEY) !== TARGETS;
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
    return true;
  }
}

export function setRightControlLeaves(leaves: boolean): void {
  rightControlLeaves.value = leaves;
  try {
    if (leaves) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, TARGETS);
  } catch {
    return;
  }
}

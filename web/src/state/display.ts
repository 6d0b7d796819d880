/**
 * Knows the display: how much room there is, and whether it is a finger that presses.
 *
 * Width says nothing of the hand: a magnified page on a laptop is as narrow as a phone, and is used
 * with a mouse and a keyboard.
 */
import { computed, signal, type ReadonlySignal } from "@preact/signals";

function matches(query: string): ReadonlySignal<boolean> {
  const media = matchMedia(query);
  const now = signal(media.matches);
  media.addEventListener("change", () => (now.value = media.matches));
  return now;
}

/** As in the style sheets. */
export const isNarrow = matches("(max-width: 640px)");
const isLow = matches("(max-height: 500px)");
export const isForFingers = matches("(pointer: coarse)");

/** Whether the phone's own keyboard types into the row's field. */
export const isTyping = signal(false);

const chosen = signal<boolean | null>(null);

/**
 * Whether the row of keys is open: as somebody chose, else where it leaves the picture its room. A phone's
 * keyboard takes of that room itself, and would close as it opens if the field that it types into went.
 */
export const showsKeyRow = computed(
  () => isForFingers.value && (chosen.value ?? (isTyping.value || !isLow.value)),
);

export function toggleKeyRow(): void {
  chosen.value = !showsKeyRow.value;
}

/**
 * Chooses dark or light: the system's choice until the person makes one.
 *
 * The choice is the browser's to keep, since it belongs to this display and not to the appliance.
 */
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "theme";
const ORDER: readonly Theme[] = ["system", "light", "dark"];

export const theme = signal<Theme>(kept());

function kept(): Theme {
  try {
    return ORDER.find((name) => name === localStorage.getItem(KEY)) ?? "system";
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
    return "system";
  }
}

export function nextTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "system";
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    return;
  }
}

/**
 * Draws the icons, so that none has to be fetched.
 */
import "./icon.css";

const PATHS = {
  power: "M12 3v9M6.3 6.8a8 8 0 1 0 11.4 0",
  keys: "M3 6.5h18v11H3zM6.5 10h.01M10 10h.01M14 10h.01M17.5 10h.01M8 14h8",
  paste: "M9 4h6v3H9zM9 5.5H6V20h12V5.5h-3M9 12h6M9 16h4",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.500a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4",
  expand: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  shrink: "M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  gear: "M4 7h9M17 7h3M15 9.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M4 17h3M11 17h9M9 19.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5",
  light:
    "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8M12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4",
  dark: "M20 14.500A8.3 8.3 0 0 1 9.5 4 8.3 8.3 0 1 0 20 14.5",
  leave: "M14 4H5v16h9M10 12h10M16.5 8l4 4-4 4",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  row: "M3 14h18v6H3zM7 17h.01M11 17h6M8 9l4-4 4 4",
  close: "M6 6l12 12M18 6L6 18",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark: a screen with somebody else's pointer on it. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="mark-case" x="1" y="3" width="30" height="22" rx="5" />
      <rect class="mark-glass" x="4" y="6" width="24" height="16" rx="2.5" />
      <path class="mark-foot" d="M11 28h10" />
      <path class="mark-hand" d="M13 9.500v10.600l2.9-2.6 2 4.4 2.2-1-2-4.3 3.9-.3z" />
    </svg>
  );
}

/**
 * Knows what browsers call keys, and where their events cannot be taken at their word.
 *
 * The rules are data: what to do about them is decided in remote/keyboard.ts, and the sequences that
 * showed the need for each are in tests/data/events.
 */

/** The system the browser runs on, as far as its keys differ. */
export type Platform = "windows" | "mac" | "other";

/** What `navigator.platform` says; iPads and iPhones pass keys on as a Mac does. */
export function platformOf(name: string): Platform {
  if (/^Win/.test(name)) return "windows";
  return /^(Mac|iP)/.test(name) ? "mac" : "other";
}

/** What each pointer and key event says of the modifiers. */
export type Flags = {
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  getModifierState: (name: string) => boolean;
};

export type KeyNames = Flags & { code: string; key: string; location: number };

/** Codes under the names they had before the standard settled; Firefox still uses some. */
const OLD_CODES: Readonly<Record<string, string>> = {
  OSLeft: "MetaLeft",
  OSRight: "MetaRight",
  VolumeDown: "AudioVolumeDown",
  VolumeMute: "AudioVolumeMute",
  VolumeUp: "AudioVolumeUp",
  HangulMode: "Lang1",
  Hanja: "Lang2",
};

/** Keys whose `key` is their `code` too, so that one that comes without a code is still known. */
const SELF_NAMED =
  /^(Enter|Escape|Backspace|Tab|CapsLock|PrintScreen|ScrollLock|Pause|Insert|Delete|Home|End|Page(Up|Down)|Arrow(Up|Down|Left|Right)|NumLock|ContextMenu|F([1-9]|1\d|2[0-4])|AudioVolume(Up|Down|Mute))$/;

const MODIFIER = /^(Control|Shift|Alt|Meta)(Left|Right)$/;
const DOM_KEY_LOCATION_RIGHT = 2;

export const isModifier = (code: string): boolean => MODIFIER.test(code);

/** Shortcuts are pressed, not typed, even where the key has no code. */
const isChord = (event: Flags): boolean =>
  (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");

/** The physical key of an event; null where it names none. */
export function codeOf(event: KeyNames): string | null {
  const { code, key } = event;
  if (code !== "" && code !== "Unidentified") return OLD_CODES[code] ?? code;
  const side = event.location === DOM_KEY_LOCATION_RIGHT ? "Right" : "Left";
  if (key === "OS") return `Meta${side}`;
  if (isModifier(key + side)) return key + side;
  if (key === "AltGraph") return "AltRight";
  if (SELF_NAMED.test(key)) return key;
  return isChord(event) ? codeOfCharacter(key) : null;
}

/** The text that an event without a key stands for; null where it stands for none. */
export function textOf({ key }: KeyNames): string | null {
  // Names of keys are words of ASCII letters and digits; what is typed is one character, or an emoji of several.
  return [...key].length === 1 || /[^A-Za-z0-9]/.test(key) ? key : null;
}

/** The US keys that type something other than letters and digits, without Shift. */
const OTHER_KEYS: Readonly<Record<string, string>> = {
  " ": "Space",
  "-": "Minus",
  "=": "Equal",
  "[": "BracketLeft",
  "]": "BracketRight",
  "\\": "Backslash",
  ";": "Semicolon",
  "'": "Quote",
  "`": "Backquote",
  ",": "Comma",
  ".": "Period",
  "/": "Slash",
  "\n": "Enter",
  "\t": "Tab",
};

/**
 * The key for a character in a shortcut: Ctrl and C are two keys, although a phone sends a letter.
 *
 * Plain text does not come this way; the daemon knows its layout.
 */
export function codeOfCharacter(character: string): string | null {
  if (/^[a-z]$/i.test(character)) return `Key${character.toUpperCase()}`;
  if (/^\d$/.test(character)) return `Digit${character}`;
  return OTHER_KEYS[character] ?? null;
}

/** Keys of the input method, of which Windows reports no keyup. */
const INPUT_METHOD =
  /^(Zenkaku|Hankaku|ZenkakuHankaku|Eisu|Alphanumeric|Katakana|Hiragana|HiraganaKatakana|Romaji|KanaMode|KanjiMode)$/;

/** Whether nobody will say that this key came up again. */
export const hasNoKeyup = (platform: Platform, key: string): boolean =>
  platform === "windows" && INPUT_METHOD.test(key);

const raised = (event: Flags, name: string): boolean => {
  if (name === "Control") return event.ctrlKey;
  if (name === "Shift") return event.shiftKey;
  if (name === "Alt") return event.altKey;
  // Firefox before 118 raised a flag of its own for the Windows key.
  if (name === "Meta" || name === "OS") return event.metaKey || event.getModifierState("OS");
  return false;
};

/**
 * Whether an event allows that a modifier is still down, which went down as this code and this key.
 *
 * Both names count. Where Ctrl and Alt are exchanged, the key is what the flag follows; where Shift
 * makes Meta of Alt, as in X11, it is the code.
 */
export function mayBeDown(code: string, key: string, event: Flags): boolean {
  // As AltGraph it raises no flag that all browsers agree on.
  if (key === "AltGraph") return true;
  const name = code.replace(/(Left|Right)$/, "");
  // While it is down, browsers show Control and Alt as up or as down, as they like.
  if (/Control|Alt/.test(name) && event.getModifierState("AltGraph")) return true;
  return raised(event, name) || raised(event, key);
}

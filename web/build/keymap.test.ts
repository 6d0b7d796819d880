import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as chords from "../src/core/chords";
import { codeOf, codeOfCharacter } from "../src/core/keyRules";

/** The daemon's keys: what each types on a US layout, by its code. */
const KEYS = new Map(
  [
    ...readFileSync("../src/hid/keymap.rs", "utf8").matchAll(
      /key\("(\w+)", 0x\w+, "((?:\\.|[^"\\])*)"\)/g,
    ),
  ].map(([, code = "", types = ""]) => [code, types.replace(/\\(.)/g, unescape)]),
);

function unescape(_: string, escaped: string): string {
  return { n: "\n", t: "\t" }[escaped] ?? escaped;
}

test("the daemon knows each key that the page has a button for", () => {
  expect(KEYS.size).toBeGreaterThan(100);
  const buttons = Object.values(chords).flat();
  expect(buttons.length).toBeGreaterThan(40);
  for (const { codes } of buttons)
    expect([...KEYS.keys()]).toEqual(expect.arrayContaining([...codes]));
});

test("a character in a shortcut is the key that types it", () => {
  for (const [code, types] of KEYS) {
    const [plain] = types;
    if (plain !== undefined) expect([plain, codeOfCharacter(plain)]).toEqual([plain, code]);
  }
  expect(codeOfCharacter("A")).toBe("KeyA");
  expect(codeOfCharacter("é")).toBeNull();
});

test("the daemon knows the old names of keys by their new ones", () => {
  const flags = { ctrlKey: false, shiftKey: false, altKey: false, metaKey: false };
  const named = { ...flags, key: "", location: 0, getModifierState: () => false };
  for (const code of ["OSRight", "VolumeMute", "VolumeDown", "HangulMode", "Hanja"]) {
    expect(KEYS.has(code)).toBe(false);
    expect([...KEYS.keys()]).toContain(codeOf({ ...named, code }));
  }
});

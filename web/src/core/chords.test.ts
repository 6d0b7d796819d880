import { expect, test } from "vitest";
import { CHORDS, FUNCTION_KEYS, ROW, sendChord } from "./chords";
import type { ToDaemon } from "./protocol";

test.each([...CHORDS, ...FUNCTION_KEYS, ...ROW])("$name lifts every key it presses", (chord) => {
  const down: string[] = [];
  const send = (message: ToDaemon) => {
    if (message.type !== "key") throw new Error(`a chord sent ${message.type}`);
    if (message.down) down.push(message.code);
    else expect(down.pop()).toBe(message.code);
  };
  sendChord(chord, send);
  expect(down).toEqual([]);
});

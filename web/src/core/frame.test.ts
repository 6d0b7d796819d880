import { expect, test } from "vitest";
import { HEADER_BYTES, parseFrame } from "./frame";

const WHOLE = new Uint8Array([
  ...[0, 0, 0, 1, 0, 0, 0, 17], // seq
  ...[0, 0, 0x30, 0x39], // age
  ...[0x07, 0x80, 0x04, 0x38], // 1920 by 1080
  ...[0xff, 0xd8, 0xff, 0xd9],
]);

test("a frame is taken apart", () => {
  const frame = parseFrame(WHOLE.buffer);
  expect(frame).toEqual({
    seq: 2 ** 32 + 17,
    ageMs: 12.345,
    width: 1920,
    height: 1080,
    jpeg: new Uint8Array([0xff, 0xd8, 0xff, 0xd9]),
  });
});

test("a frame cut anywhere is refused or has a shorter picture", () => {
  for (let length = 0; length < WHOLE.length; length += 1) {
    const frame = parseFrame(WHOLE.slice(0, length).buffer);
    if (length <= HEADER_BYTES) expect(frame).toBeNull();
    else expect(frame?.jpeg.length).toBe(length - HEADER_BYTES);
  }
});

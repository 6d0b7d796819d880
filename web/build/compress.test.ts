import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { copies, sent } from "./compress";

const SCRIPT = "export const again = 'and again';\n".repeat(1000);

test("a text gets two copies, each the same text and smaller", () => {
  const [brotli, gzip] = copies("assets/page-abc.js", SCRIPT);
  expect([brotli?.suffix, gzip?.suffix]).toEqual([".br", ".gz"]);
  expect(brotliDecompressSync(brotli?.bytes ?? "").toString()).toBe(SCRIPT);
  expect(gunzipSync(gzip?.bytes ?? "").toString()).toBe(SCRIPT);
  expect(sent("assets/page-abc.js", SCRIPT)).toBe(brotli?.bytes.length);
});

test("the same text gives the same copies on another day", () => {
  // The header of a gzip file has a time, which would make each build another one.
  const time = copies("a.css", SCRIPT)[1]?.bytes.subarray(4, 8);
  expect([...(time ?? [])]).toEqual([0, 0, 0, 0]);
});

test("what does not become smaller, or is compressed already, travels as it is", () => {
  expect(copies("a.svg", "<svg/>")).toEqual([]);
  expect(copies("a.png", SCRIPT)).toEqual([]);
  expect(sent("a.png", new Uint8Array(1234))).toBe(1234);
});

/**
 * Reads the text of a character screen out of the picture itself, as a person would: from its pixels.
 *
 * The cells are compared with the letter shapes that the simulated machine draws (`tests/data/glyphs.json`), light on dark
 * or dark on light. JPEG noise moves a pixel now and then, so the nearest shape wins.
 */
import { readFileSync } from "node:fs";
import type { Locator } from "@playwright/test";

const CELL = { width: 9, height: 16 };

/** The pictures of the characters, each 16 rows of 9 bits, leftmost pixel first. */
const GLYPHS: Map<string, Uint8Array> = (() => {
  const file = JSON.parse(readFileSync(new URL("../../data/glyphs.json", import.meta.url), "utf8")) as Record<
    string,
    string[]
  >;
  return new Map(Object.entries(file).map(([char, rows]) => [char, Uint8Array.from(rows.join(""), Number)]));
})();

/** Brightness of every pixel of the picture that the page shows, 0 to 255. */
async function brightness(screen: Locator): Promise<{ width: number; height: number; luma: Uint8Array }> {
  const picture = await screen.evaluate((element) => {
    const canvas = element instanceof HTMLCanvasElement ? element : element.querySelector("canvas");
    const context = canvas?.getContext("2d");
    if (!canvas || !context || canvas.width === 0) return { width: 0, height: 0, luma: "" };
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let luma = "";
    for (let at = 0; at < data.length; at += 4) {
      luma += String.fromCharCode(((data[at] ?? 0) * 3 + (data[at + 1] ?? 0) * 6 + (data[at + 2] ?? 0)) / 10);
    }
    return { width: canvas.width, height: canvas.height, luma: btoa(luma) };
  });
  return { ...picture, luma: new Uint8Array(Buffer.from(picture.luma, "base64")) };
}

/** The character whose shape is nearest to a cell's pixels. */
function nearest(cell: Uint8Array): string {
  const darkest = Math.min(...cell);
  const lightest = Math.max(...cell);
  if (lightest - darkest < 60) return " ";
  const middle = (darkest + lightest) / 2;
  const bits = cell.map((luma) => (luma < middle ? 0 : 1));
  let best = { char: "?", misses: 12 };
  for (const [char, shape] of GLYPHS) {
    let light = 0;
    for (let at = 0; at < shape.length; at++) if (shape[at] !== bits[at]) light++;
    const misses = Math.min(light, shape.length - light);
    if (misses < best.misses) best = { char, misses };
  }
  return best.char;
}

/** The lines of text on the screen. */
export async function readText(screen: Locator): Promise<string[]> {
  const { width, height, luma } = await brightness(screen);
  const lines: string[] = [];
  for (let top = 0; top + CELL.height <= height; top += CELL.height) {
    let line = "";
    for (let left = 0; left + CELL.width <= width; left += CELL.width) {
      const cell = new Uint8Array(CELL.width * CELL.height);
      for (let y = 0; y < CELL.height; y++) {
        const from = (top + y) * width + left;
        cell.set(luma.subarray(from, from + CELL.width), y * CELL.width);
      }
      line += nearest(cell);
    }
    lines.push(line.trimEnd());
  }
  return lines;
}

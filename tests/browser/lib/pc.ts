/**
 * Tells how the PC behind the image really is, past everything that is tested: from its own memory.
 */
import { expect, type Page } from "@playwright/test";
import { screenOf } from "./console.ts";

/** How a PC is when nobody looks through us. */
export interface State {
  readonly running: boolean;
  /** The characters on its screen, 25 rows of 80. */
  readonly text: string;
}

/** A VGA draws each character into so many pixels. */
const CELL = { width: 9, height: 16 };
const GRID = { columns: 80, rows: 25 };

/** Asks the test bench how the PC is. */
export async function pc(): Promise<State> {
  const answer = await fetch(process.env["FARHAND_PC"] ?? "");
  if (!answer.ok) throw new Error(`the test bench says: ${await answer.text()}`);
  return (await answer.json()) as State;
}

/** Expects that the PC itself shows this text. */
export async function expectOnPc(text: string | RegExp): Promise<void> {
  await expect.poll(async () => (await pc()).text).toMatch(text);
}

/** Which cells of the page's picture have something drawn in them: a row of `#` and spaces for each row of characters. */
async function inkOf(page: Page): Promise<string[]> {
  return screenOf(page).evaluate(
    (element, { cell, grid }) => {
      const canvas = element instanceof HTMLCanvasElement ? element : element.querySelector("canvas");
      const context = canvas?.getContext("2d");
      if (!context || canvas?.width !== cell.width * grid.columns) return [];
      return Array.from({ length: grid.rows }, (_, row) => {
        let line = "";
        for (let column = 0; column < grid.columns; column++) {
          const { data } = context.getImageData(column * cell.width, row * cell.height, cell.width, cell.height);
          let lightest = 0;
          for (let at = 1; at < data.length; at += 4) lightest = Math.max(lightest, data[at] ?? 0);
          // Far from both: a letter is light grey on black, and JPEG smears a little of it over its neighbours.
          line += lightest > 128 ? "#" : " ";
        }
        return line.trimEnd();
      });
    },
    { cell: CELL, grid: GRID },
  );
}

/** Expects that the page's picture has ink exactly where the PC has a character on its screen. */
export async function expectSameScreen(page: Page): Promise<void> {
  await expect(async () => {
    const { text } = await pc();
    const ink = await inkOf(page);
    expect(text).not.toBe("");
    const cells = (rows: readonly string[]) =>
      Array.from({ length: GRID.rows }, (_, row) => (rows[row] ?? "").padEnd(GRID.columns)).join("");
    const [seen, real] = [cells(ink), cells(text.split("\n").map((row) => row.replace(/\S/g, "#")))];
    const different = [...seen].filter((cell, at) => cell !== real[at]).length;
    // The cursor blinks, and is no character.
    expect(different, `seen:\n${ink.join("\n")}\nreal:\n${text}`).toBeLessThanOrEqual(1);
  }).toPass();
}

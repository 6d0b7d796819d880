/**
 * Asks the target itself what reached it, so that no test takes our own word for it.
 *
 * In the simulated machine the witness is its screen. In the image it is the guest's kernel: input events as its USB host
 * side received them, and GPIO lines as seen from outside. The test bench answers shell commands there over a socket.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { expect } from "@playwright/test";

/** What a command inside the guest printed. */
export async function guest(command: string): Promise<string> {
  const path = process.env["FARHAND_WITNESS"];
  if (path === undefined) throw new Error("FARHAND_WITNESS must name the test bench's socket");
  const socket = connect(path);
  try {
    socket.write(`${JSON.stringify({ sh: command })}\n`);
    for await (const line of createInterface({ input: socket })) {
      const answer = JSON.parse(line) as { text: string; status: number };
      if (answer.status !== 0) throw new Error(`${command}: status ${answer.status}: ${answer.text}`);
      return answer.text;
    }
    throw new Error(`${command}: the test bench gave no answer`);
  } finally {
    socket.destroy();
  }
}

/** Runs `peek` in the guest until `act` is done and its output has what is wanted. */
async function during(peek: string, act: () => Promise<void>, wanted: (seen: string) => void): Promise<void> {
  const file = `/run/seen.${Math.floor(Math.random() * 1e9)}`;
  await guest(`/mnt/peek ${peek} --for 120000 >${file} 2>&1 & echo $! >${file}.pid`);
  // It says so once it listens; what is done before would go unseen.
  await expect(async () => expect(await guest(`cat ${file}`)).toContain("watching")).toPass();
  await act();
  await expect(async () => wanted(await guest(`cat ${file}`))).toPass();
  await guest(`kill $(cat ${file}.pid); rm ${file} ${file}.pid`);
}

/** Linux input-event codes of the letters (input-event-codes.h). */
const KEY_CODES: Readonly<Record<string, number>> = Object.fromEntries(
  ["qwertyuiop", "asdfghjkl", "zxcvbnm"].flatMap((row, at) =>
    [...row].map((letter, nth) => [letter, ([16, 30, 44][at] ?? 0) + nth]),
  ),
);

/** Expects that the guest's own keyboard driver received this word while `act` ran: each key down and up, in order. */
export async function expectTyped(word: string, act: () => Promise<void>): Promise<void> {
  await during("events keyboard", act, (seen) => {
    const keys = [...seen.matchAll(/^EV_KEY (\d+) ([01]) /gm)].map((match) => `${match[1]}:${match[2]}`);
    const codes = [...word].map((letter) => KEY_CODES[letter]);
    expect(keys).toEqual(codes.flatMap((code) => [`${code}:1`, `${code}:0`]));
  });
}

/** Expects a click of the left button at a share of the screen, within one part in a thousand. */
export async function expectClick(x: number, y: number, act: () => Promise<void>): Promise<void> {
  await during("events pointer", act, (seen) => {
    const last = (pattern: RegExp) => Number([...seen.matchAll(pattern)].at(-1)?.[1] ?? Number.NaN);
    expect(Math.abs(last(/^EV_ABS 0 (\d+) /gm) / 32767 - x)).toBeLessThan(0.001);
    expect(Math.abs(last(/^EV_ABS 1 (\d+) /gm) / 32767 - y)).toBeLessThan(0.001);
    // BTN_LEFT.
    expect([...seen.matchAll(/^EV_KEY 272 ([01]) /gm)].map((match) => match[1])).toEqual(["1", "0"]);
  });
}

/** Expects one pulse on a line of the guest's GPIO chip, of this length give or take a tenth. */
export async function expectPulse(value: string, milliseconds: number, act: () => Promise<void>): Promise<void> {
  await during(`watch ${value}`, act, (seen) => {
    const edges = [...seen.matchAll(/^([01]) (\d+)$/gm)].map((match) => ({ level: match[1], at: Number(match[2]) }));
    const levels = edges.map((edge) => edge.level).join("");
    // The first line is the level before anything happened.
    expect(levels).toBe("010");
    const length = ((edges[2]?.at ?? 0) - (edges[1]?.at ?? 0)) / 1000;
    expect(length).toBeGreaterThan(milliseconds * 0.9);
    expect(length).toBeLessThan(milliseconds * 1.1);
  });
}

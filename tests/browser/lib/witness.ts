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

/** Kills the process that serves the page, as a fault would; init must start it again. */
export async function killServe(): Promise<void> {
  await guest("kill -9 $(cat /run/sv/serve/pid)");
}

/** The guest's input device that has this line in the kernel's description of it. */
async function inputDevice(line: RegExp): Promise<string> {
  let node: string | undefined;
  await expect(async () => {
    const devices = (await guest("cat /proc/bus/input/devices")).split("\n\n");
    const found = devices.find((device) => device.includes("Farhand") && line.test(device));
    node = found?.match(/^H: .*\b(event\d+)/m)?.[1];
    expect(node).toBeDefined();
  }).toPass();
  return `/dev/input/${node}`;
}

/** Runs `peek` in the guest until `act` is done and its output has what is wanted. */
async function during(peek: string, act: () => Promise<void>, wanted: (seen: string) => void): Promise<void> {
  const file = `/tmp/seen.${Math.floor(Math.random() * 1e9)}`;
  await guest(`/tmp/peek/peek ${peek} --for 120000 >${file} 2>&1 & echo $! >${file}.pid`);
  // It says something at once; what is done before would go unseen.
  await expect(async () => expect(await guest(`cat ${file}`)).not.toBe("")).toPass();
  await act();
  await expect(async () => wanted(await guest(`cat ${file}`))).toPass();
  await guest(`kill $(cat ${file}.pid); rm ${file} ${file}.pid`);
}

/** The values of one event, in order. Each line is `type code value µs`. */
const values = (seen: string, type: number, code: number): number[] =>
  [...seen.matchAll(/^(\d+) (\d+) (-?\d+) \d+$/gm)]
    .filter((event) => Number(event[1]) === type && Number(event[2]) === code)
    .map((event) => Number(event[3]));

// input-event-codes.h
const EV_KEY = 1;
const EV_ABS = 3;
const ABS_X = 0;
const ABS_Y = 1;
const BTN_LEFT = 272;

/** Linux input-event codes of the letters (input-event-codes.h). */
const KEY_CODES: Readonly<Record<string, number>> = Object.fromEntries(
  ["qwertyuiop", "asdfghjkl", "zxcvbnm"].flatMap((row, at) =>
    [...row].map((letter, nth) => [letter, ([16, 30, 44][at] ?? 0) + nth]),
  ),
);

/** Expects that the guest's own keyboard driver received this word while `act` ran: each key down and up, in order. */
export async function expectTyped(word: string, act: () => Promise<void>): Promise<void> {
  await during(`events ${await inputDevice(/^B: LED=/m)}`, act, (seen) => {
    const keys = [...seen.matchAll(/^1 (\d+) ([01]) \d+$/gm)].map((event) => `${event[1]}:${event[2]}`);
    const codes = [...word].map((letter) => KEY_CODES[letter]);
    expect(keys).toEqual(codes.flatMap((code) => [`${code}:1`, `${code}:0`]));
  });
}

/** Expects a click of the left button at a share of the screen, within one part in a thousand. */
export async function expectClick(x: number, y: number, act: () => Promise<void>): Promise<void> {
  await during(`events ${await inputDevice(/^B: ABS=/m)}`, act, (seen) => {
    expect(Math.abs((values(seen, EV_ABS, ABS_X).at(-1) ?? Number.NaN) / 32767 - x)).toBeLessThan(0.001);
    expect(Math.abs((values(seen, EV_ABS, ABS_Y).at(-1) ?? Number.NaN) / 32767 - y)).toBeLessThan(0.001);
    expect(values(seen, EV_KEY, BTN_LEFT)).toEqual([1, 0]);
  });
}

/** A change of level, in milliseconds: after `before`, not after `after`; until then the guest stood still for `heldUp`. */
interface Edge {
  readonly level: number;
  readonly before: number;
  readonly after: number;
  readonly heldUp: number;
}

/** A pulse, as exactly as it could be seen: its length in milliseconds, and how long the guest stood still during it. */
interface Pulse {
  readonly shortest: number;
  readonly longest: number;
  readonly heldUp: number;
}

/** Expects exactly one pulse on the power relay's line while `act` ran. */
async function onePulse(act: () => Promise<void>, wanted: (pulse: Pulse) => void): Promise<void> {
  const line = (await guest("ls /sys/devices/platform/gpio-sim.0/gpiochip*/sim_gpio0/value")).trim();
  await during(`watch ${line}`, act, (seen) => {
    const edges = [...seen.matchAll(/^([01]) (\d+) (\d+) (\d+)$/gm)].map(([, level, ...times]): Edge => {
      const [before, after, heldUp] = times.map((time) => Number(time) / 1000) as [number, number, number];
      return { level: Number(level), before, after, heldUp };
    });
    // The first is the level before anything happened.
    expect(edges.map((edge) => edge.level)).toEqual([0, 1, 0]);
    const [, up, down] = edges as [Edge, Edge, Edge];
    wanted({ shortest: down.before - up.after, longest: down.after - up.before, heldUp: down.heldUp - up.heldUp });
  });
}

/**
 * Expects one pulse on the power relay's line: never shorter than asked, and longer only by what an emulated machine on a
 * busy host needs. That the length is exact is shown where the clock stands still, in the daemon's own tests.
 */
export async function expectPulse(milliseconds: number, act: () => Promise<void>): Promise<void> {
  await onePulse(act, ({ shortest, longest, heldUp }) => {
    expect(longest).toBeGreaterThanOrEqual(milliseconds);
    expect(shortest - heldUp).toBeLessThan(milliseconds + 300);
  });
}

/** Expects that the power relay was closed and opened again long before the `asked` milliseconds were over. */
export async function expectCutShort(asked: number, act: () => Promise<void>): Promise<void> {
  await onePulse(act, ({ shortest, heldUp }) => expect(shortest - heldUp).toBeLessThan(asked / 2));
}

/** Expects that within `act` a letter's key goes down, is never released by hand, and is up at its end. */
export async function expectReleased(letter: string, act: () => Promise<void>): Promise<void> {
  await during(`events ${await inputDevice(/^B: LED=/m)}`, act, (seen) => {
    const pressed = values(seen, EV_KEY, KEY_CODES[letter] ?? 0).filter((value) => value !== 2);
    expect(pressed).toEqual([1, 0]);
  });
}

/**
 * The machine behind the page, whichever it is: the story says what must reach it, and each says whether it did.
 */
import { expect, type Page } from "@playwright/test";
import { placeOf, screenOf, statusOf } from "./console.ts";
import { startDaemon } from "./daemon.ts";
import { readText } from "./text.ts";
import { expectClick, expectPulse, expectTyped, killServe } from "./witness.ts";

/** A target with a daemon in front of it. */
export interface Target {
  readonly url: string;
  readonly code: string;
  /** Waits until it takes input and its picture moves. */
  awake(page: Page): Promise<void>;
  /** Expects that `act` types this word, no key lost, doubled or swapped. */
  expectTyped(page: Page, word: string, act: () => Promise<void>): Promise<void>;
  /** Clicks at a share of the picture and expects it there. */
  expectClick(page: Page, x: number, y: number): Promise<void>;
  /** Expects that `act` presses the power button, once and shortly. */
  expectTap(page: Page, act: () => Promise<void>): Promise<void>;
  /** Kills the daemon, which the page must notice; someone or something starts it again. */
  restartDaemon(page: Page): Promise<void>;
  stop(): Promise<void>;
}

/** Clicks the left button at a share of the picture. */
export async function clickAt(page: Page, x: number, y: number): Promise<void> {
  const place = await placeOf(page, x, y);
  await page.mouse.move(place.x, place.y);
  await page.mouse.down();
  await page.mouse.up();
}

/** Waits until the simulated machine's screen shows this text. */
export async function expectText(page: Page, text: string | RegExp): Promise<void> {
  await expect(async () => expect((await readText(screenOf(page))).join("\n")).toMatch(text)).toPass({
    timeout: 20_000,
    intervals: [50],
  });
}

/** Types with the picture focused. */
export async function type(page: Page, text: string): Promise<void> {
  await screenOf(page).focus();
  await page.keyboard.type(text);
}

/** Waits until the page says that it has lost its daemon. */
async function expectLost(page: Page): Promise<void> {
  await expect(statusOf(page)).toHaveAttribute("data-connection", "lost");
}

/** The simulated machine: its screen tells. */
async function simulated(): Promise<Target> {
  const daemon = await startDaemon();
  return {
    url: daemon.url,
    code: daemon.code,
    async awake(page) {
      await expectText(page, /\$ ?$/m);
    },
    async expectTyped(page, word, act) {
      await act();
      await expectText(page, new RegExp(`\\$ ${word}(\\W|$)`, "m"));
      await page.keyboard.press("Enter");
    },
    async expectClick(page, x, y) {
      if ((await statusOf(page).getAttribute("data-mode")) !== "1920x1080") {
        await type(page, "startx\n");
        await expect(statusOf(page)).toHaveAttribute("data-mode", "1920x1080");
      }
      await clickAt(page, x, y);
      const [column, row] = [Math.round(x * 1919), Math.round(y * 1079)];
      // Within one part in a thousand: two pixels across, one down.
      const near = (n: number, by: number) => Array.from({ length: 2 * by + 1 }, (_, at) => n - by + at).join("|");
      await expectText(page, new RegExp(`\\b(${near(column, 1)}), ?(${near(row, 1)})\\b`));
    },
    async expectTap(page, act) {
      await act();
      await expect(statusOf(page)).toHaveAttribute("data-power", "off");
      await expect(statusOf(page)).toHaveAttribute("data-signal", "no-signal");
    },
    restartDaemon: (page) => daemon.restart(() => expectLost(page)),
    stop: daemon.stop,
  };
}

/** The image in a virtual machine: its kernel tells. */
function virtual(url: string): Target {
  return {
    url,
    code: process.env["FARHAND_CODE"] ?? "",
    async awake() {},
    expectTyped: (_page, word, act) => expectTyped(word, act),
    async expectClick(page, x, y) {
      // A click means a pixel, so what reaches the target is that pixel's centre.
      const mode = (await statusOf(page).getAttribute("data-mode")) ?? "";
      const [width, height] = mode.split("x").map(Number);
      const centre = (share: number, pixels = Number.NaN) => (Math.floor(share * pixels) + 0.5) / pixels;
      const [cx, cy] = [centre(x, width), centre(y, height)];
      await expectClick(cx, cy, () => clickAt(page, cx, cy));
    },
    expectTap: (_page, act) => expectPulse(500, act),
    async restartDaemon(page) {
      // Init is quick, so the page is watched from before.
      const lost = expectLost(page);
      await killServe();
      await lost;
    },
    async stop() {},
  };
}

/** The target that this run is about: that of FARHAND_URL, else a simulated one of its own. */
export async function startTarget(): Promise<Target> {
  const url = process.env["FARHAND_URL"];
  return url === undefined ? simulated() : virtual(url);
}

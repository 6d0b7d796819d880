/**
 * The long way through the simulated machine: its firmware, its faults, its pointer to the pixel.
 */
import { expect, test, type Page } from "@playwright/test";
import { claim, pictureHash, placeOf, power, screenOf, statusOf } from "./lib/console.ts";
import { type Daemon, startDaemon } from "./lib/daemon.ts";
import { expectText, type } from "./lib/target.ts";
import { readText } from "./lib/text.ts";

let daemon: Daemon;
let page: Page;

test.describe.configure({ mode: "serial" });

test.beforeAll(async ({ browser }) => {
  daemon = await startDaemon();
  page = await browser.newPage();
  await claim(page, daemon.url, daemon.code);
});

test.afterAll(async () => {
  await page.close();
  await daemon.stop();
});

/** Resets the machine and waits for the firmware's first screen. */
async function restart(): Promise<void> {
  await power(page, "Reset");
  await expect(statusOf(page)).toHaveAttribute("data-mode", "720x400");
  // Its USB is up when it lists what is plugged in; keys pressed before that reach no firmware.
  await expectText(page, /USB +: Keyboard/);
  await screenOf(page).focus();
}

/** Presses keys one after another. */
async function press(...keys: string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key);
}

test("the picture follows every change of mode from power-on to desktop", async () => {
  await restart();
  await expect(statusOf(page)).toHaveAttribute("data-mode", "1024x768");
  await expectText(page, /\$ ?$/m);
  await type(page, "startx\n");
  await expect(statusOf(page)).toHaveAttribute("data-mode", "1920x1080");
  await expectText(page, /Target at \d+,\d+/);
});

test("a click hits the very pixel that was aimed at", async () => {
  for (let round = 0; round < 3; round++) {
    const text = (await readText(screenOf(page))).join("\n");
    const [, x, y] = /Target at (\d+),(\d+)/.exec(text) ?? [];
    const place = await placeOf(page, (Number(x) + 0.5) / 1920, (Number(y) + 0.5) / 1080);
    await page.mouse.click(place.x, place.y);
    // The page is smaller than the screen, so its pixels are coarser: half of one is as near as a mouse can get.
    await expectText(page, new RegExp(`Hit at \\d+,\\d+: off by -?[01],-?[01]\\b`));
  }
});

test("F2 opens the set-up, and what is changed there holds after F10", async () => {
  await restart();
  await press("F2");
  await expectText(page, "Practice BIOS Setup");
  await press("ArrowRight", "ArrowRight");
  await expectText(page, "Boot order, first to last");
  await expectText(page, /1\. NVMe/);
  await press("ArrowDown", "+");
  await expectText(page, /1\. USB: Rescue Stick/);
  await press("F10");
  await expectText(page, "Save changes and restart?");
  await press("y");
  // The stick has another prompt than the disk.
  await expectText(page, /rescue\$ ?$/m);
});

test("F12 opens the boot menu, which the arrow keys walk", async () => {
  await restart();
  await press("F12");
  await expectText(page, "Please select a boot device");
  await press("ArrowDown", "Enter");
  await expectText(page, /practice\$ ?$/m);
});

test("a hung machine shows its last picture and takes nothing until it is reset", async () => {
  await restart();
  await expect(statusOf(page)).toHaveAttribute("data-mode", "1024x768");
  await expectText(page, /\$ ?$/m);
  await type(page, "hang\n");
  await expectText(page, "hang");
  // It has stopped for good: what is typed does not appear, and its caret does not blink.
  const still = await pictureHash(page);
  await type(page, "lost");
  // Pictures go on coming from a hung machine, so that several later ones can be looked at, each the same.
  const captured = async () =>
    (await page.request.get(`${daemon.url}/api/v1/seats/main/snapshot.jpg`)).headers()["x-timestamp"];
  for (let picture = 0; picture < 4; picture++) {
    const before = await captured();
    await expect.poll(captured).not.toBe(before);
    expect(await pictureHash(page)).toBe(still);
  }
  await restart();
  await expectText(page, /\$ ?$/m);
});

test("Ctrl-Alt-Del from the page's menu restarts the machine", async () => {
  await page.getByRole("button", { name: "Keys", exact: true }).click();
  await page
    .getByRole("button", { name: "Ctrl-Alt-Del" })
    .or(page.getByRole("menuitem", { name: "Ctrl-Alt-Del" }))
    .click();
  await expectText(page, "Press F2");
});

test("Caps Lock is lit and put out by the target", async () => {
  await expectText(page, /\$ ?$/m);
  const capsLit = async () =>
    (await (await page.request.get(`${daemon.url}/api/v1/seats/main`)).json()).keyboard_leds.caps;
  await screenOf(page).focus();
  await press("CapsLock");
  await expect.poll(capsLit).toBe(true);
  await press("CapsLock");
  await expect.poll(capsLit).toBe(false);
});

test("a page that loses its focus releases what it held", async () => {
  await expectText(page, /\$ ?$/m);
  await screenOf(page).focus();
  await page.keyboard.down("x");
  await page.getByRole("button", { name: "Power", exact: true }).focus();
  // The simulated machine repeats a held key as any does, from half a second on. What was under way has arrived by then;
  // what comes in the second after that, by the pictures' own clock, would be a key that nobody released.
  await expectText(page, /\$ x+/);
  const line = async () => /\$ (x+)/.exec((await readText(screenOf(page))).join("\n"))?.[1] ?? "";
  const now = async () =>
    Number((await page.request.get(`${daemon.url}/api/v1/seats/main/snapshot.jpg`)).headers()["x-timestamp"]);
  const left = await now();
  await expect.poll(now).toBeGreaterThan(left + 0.5);
  const typed = await line();
  await expect.poll(now).toBeGreaterThan(left + 1.5);
  expect(await line()).toBe(typed);
  await page.keyboard.up("x");
});

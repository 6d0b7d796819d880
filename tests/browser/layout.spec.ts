/**
 * The page where there is little room: on a phone, on its side too, and magnified on a laptop.
 */
import { expect, test, type Browser, type Page } from "@playwright/test";
import { expectConnected, logIn, screenOf, statusOf } from "./lib/console.ts";
import { ownedDaemon } from "./lib/owned.ts";

const daemon = ownedDaemon();

const PHONE = { width: 390, height: 844, touch: true };
const PHONE_ON_ITS_SIDE = { width: 844, height: 390, touch: true };
/** A laptop of 1280 by 800 that magnifies twice, and four times. */
const TWICE = { width: 640, height: 400, touch: false };
const FOUR_TIMES = { width: 320, height: 200, touch: false };

type Display = typeof PHONE;

async function open(browser: Browser, { width, height, touch }: Display): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height }, hasTouch: touch, isMobile: touch });
  const page = await context.newPage();
  await page.goto(daemon.url);
  await logIn(page);
  await expectConnected(page);
  return page;
}

const tool = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const keyRow = (page: Page) => page.getByRole("group", { name: "Keys", exact: true });
const heightOf = async (page: Page, display: Display): Promise<number> =>
  ((await screenOf(page).boundingBox())?.height ?? 0) / display.height;

for (const [name, display, share] of [
  ["a phone on its side", PHONE_ON_ITS_SIDE, 0.8],
  ["200 % on a laptop", TWICE, 0.8],
  ["400 % on a laptop", FOUR_TIMES, 0.65],
] as const) {
  test(`the picture keeps the room: ${name}`, async ({ browser }) => {
    const page = await open(browser, display);
    await expect.poll(() => heightOf(page, display)).toBeGreaterThan(share);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await page.context().close();
  });
}

test("the row of keys is for fingers, and folds away", async ({ browser }) => {
  const narrow = await open(browser, TWICE);
  await expect(keyRow(narrow)).toBeHidden();
  await expect(tool(narrow, "Key row")).toBeHidden();
  await narrow.context().close();

  const upright = await open(browser, PHONE);
  await expect(keyRow(upright)).toBeVisible();
  await tool(upright, "Key row").tap();
  await expect(keyRow(upright)).toBeHidden();
  await expect(tool(upright, "Key row")).toHaveAttribute("aria-expanded", "false");
  await upright.context().close();

  const onItsSide = await open(browser, PHONE_ON_ITS_SIDE);
  await expect(keyRow(onItsSide)).toBeHidden();
  await tool(onItsSide, "Key row").tap();
  await expect(keyRow(onItsSide)).toBeVisible();
  // One line of them, and the picture above still has the most of the room.
  await expect.poll(async () => (await keyRow(onItsSide).boundingBox())?.height).toBeLessThan(60);
  await expect.poll(() => heightOf(onItsSide, PHONE_ON_ITS_SIDE)).toBeGreaterThan(0.6);
  await onItsSide.context().close();
});

for (const [name, display] of Object.entries({ PHONE, PHONE_ON_ITS_SIDE, TWICE, FOUR_TIMES })) {
  test(`the status is one line, and all of it can be reached: ${name.toLowerCase()}`, async ({ browser }) => {
    const page = await open(browser, display);
    expect((await statusOf(page).boundingBox())?.height).toBeLessThan(34);
    const power = statusOf(page).getByText("Power on");
    await power.scrollIntoViewIfNeeded();
    await expect(power).toBeInViewport({ ratio: 1 });
    await page.context().close();
  });
}

for (const [name, display] of Object.entries({ PHONE, PHONE_ON_ITS_SIDE })) {
  test(`whatever a finger presses is 44 pixels wide and high: ${name.toLowerCase()}`, async ({ browser }) => {
    const page = await open(browser, display);
    const small = async () => {
      const found: string[] = [];
      for (const button of await page.getByRole("button").all()) {
        const box = await button.boundingBox();
        if (box !== null && (box.width < 44 || box.height < 44)) {
          found.push(`${await button.textContent()}: ${box.width} × ${box.height}`);
        }
      }
      return found;
    };
    expect(await small()).toEqual([]);
    for (const name of ["Power", "Keys"]) {
      await tool(page, name).tap();
      await expect(page.getByRole("group", { name: `${name} menu` })).toBeVisible();
      expect(await small()).toEqual([]);
    }
    await page.context().close();
  });
}

test("where it is low and wide, all keys of the menu are seen at once", async ({ browser }) => {
  const page = await open(browser, PHONE_ON_ITS_SIDE);
  await tool(page, "Keys").tap();
  const keys = page.getByRole("group", { name: "Keys menu" });
  for (const name of ["Ctrl-Alt-Del", "Print Screen", "F1", "F12", "Right Ctrl twice"]) {
    await expect(keys.getByRole("button", { name, exact: true })).toBeInViewport({ ratio: 1 });
  }
  await page.context().close();
});

test("what does not fit the width is behind one button, in words", async ({ browser }) => {
  const page = await open(browser, PHONE);
  await expect(page.getByText("main", { exact: true })).toBeInViewport({ ratio: 1 });
  await expect(tool(page, "Log out")).toBeHidden();
  await tool(page, "More").tap();
  await expect(page.getByText("Log out", { exact: true })).toBeInViewport({ ratio: 1 });
  await tool(page, "System").press("Enter");
  await expect(page.getByRole("dialog", { name: "System" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(tool(page, "More")).toBeFocused();
  await page.context().close();
});

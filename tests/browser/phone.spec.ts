/**
 * A phone: fingers on the picture, and its keyboard for letters.
 */
import { type CDPSession, expect, type Page, test } from "@playwright/test";
import { claim, placeOf, screenOf, statusOf } from "./lib/console.ts";
import { type Daemon, startDaemon } from "./lib/daemon.ts";
import { expectText } from "./lib/target.ts";
import { readText } from "./lib/text.ts";

let daemon: Daemon;
let page: Page;
let fingers: CDPSession;
/** What went over the socket. */
const sent: string[] = [];

test.describe.configure({ mode: "serial" });

test.beforeAll(async ({ browser }) => {
  daemon = await startDaemon();
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
    deviceScaleFactor: 2,
  });
  page = await context.newPage();
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(String(payload))));
  await claim(page, daemon.url, daemon.code);
  fingers = await context.newCDPSession(page);
});

test.afterAll(async () => {
  await page.context().close();
  await daemon.stop();
});

type Point = { x: number; y: number };

/** Puts fingers where they are to be, or takes all of them away. */
async function touch(type: "touchStart" | "touchMove" | "touchEnd", ...points: Point[]): Promise<void> {
  const touchPoints = points.map((point, id) => ({ ...point, id }));
  await fingers.send("Input.dispatchTouchEvent", { type, touchPoints });
}

/** Two fingers next to a point, one after the other, which then move by steps. */
async function moveTwo(from: Point, step: (first: Point, second: Point) => [Point, Point]): Promise<void> {
  let pair: [Point, Point] = [
    { x: from.x - 20, y: from.y },
    { x: from.x + 20, y: from.y },
  ];
  await touch("touchStart", pair[0]);
  await touch("touchStart", ...pair);
  for (let steps = 0; steps < 10; steps++) {
    pair = step(...pair);
    await touch("touchMove", ...pair);
  }
  await touch("touchEnd");
}

const key = (name: string) => page.getByRole("button", { name, exact: true });

test("the phone's keyboard types letters, takes them back, and ends the line in its place", async () => {
  await expectText(page, /\$ ?$/m);
  await key("Keyboard").tap();
  await page.keyboard.insertText("startxy");
  await page.keyboard.press("Backspace");
  await expectText(page, /\$ startx ?$/m);
  await page.keyboard.press("Enter");
  await expect(statusOf(page)).toHaveAttribute("data-mode", "1920x1080");
});

test("the phone's keyboard stays open in the little room that it leaves", async () => {
  const field = page.getByLabel("Type to the target");
  await expect(field).toBeFocused();
  await page.setViewportSize({ width: 390, height: 450 });
  // The page hears of its new size in the next frame.
  await page.evaluate(() => new Promise((heard) => requestAnimationFrame(() => requestAnimationFrame(heard))));
  await expect(field).toBeFocused();
  await page.setViewportSize({ width: 390, height: 844 });
});

test("a tap on the picture leaves the keyboard open", async () => {
  const middle = await placeOf(page, 0.5, 0.9);
  await page.touchscreen.tap(middle.x, middle.y);
  await expectText(page, /Pointer 9\d\d,9\d\d/);
  await expect(page.getByLabel("Type to the target")).toBeFocused();
  await key("Keyboard").tap();
  await expect(page.getByLabel("Type to the target")).not.toBeFocused();
});

test("a tap in a picture that a pinch enlarged hits the very pixel, and the pinch presses nothing", async () => {
  const where = /Target at (\d+),(\d+)/;
  const text = (await readText(screenOf(page))).join("\n");
  const [, x, y] = where.exec(text) ?? [];
  const aim = () => placeOf(page, (Number(x) + 0.5) / 1920, (Number(y) + 0.5) / 1080);
  const before = (await screenOf(page).locator("canvas").boundingBox())?.width ?? 0;
  await moveTwo(await aim(), (first, second) => [
    { ...first, x: first.x - 4 },
    { ...second, x: second.x + 4 },
  ]);
  const after = (await screenOf(page).locator("canvas").boundingBox())?.width ?? 0;
  expect(after).toBeGreaterThan(before * 1.5);
  await expectText(page, /Hits 0 +Misses 0/);
  const place = await aim();
  await page.touchscreen.tap(place.x, place.y);
  await expectText(page, /Hit at \d+,\d+: off by -?[01],-?[01]\b/);
});

test("a finger that scrolls the keys presses none, and one that taps does", async () => {
  await page.setViewportSize({ width: 568, height: 320 });
  await key("Key row").tap();
  const row = page.getByRole("group", { name: "Keys", exact: true });
  const from = await key("Esc").boundingBox();
  if (from === null) throw new Error("there is no Esc");
  // The wait for a finger to rest does not end because this machine is slow.
  await page.clock.install();
  await page.clock.pauseAt(new Date(Date.now() + 60_000));
  sent.length = 0;
  const keys = () => sent.filter((text) => text.includes('"key"'));
  const finger = { x: from.x + from.width / 2, y: from.y + from.height / 2 };
  await touch("touchStart", finger);
  for (let step = 0; step < 8; step++) await touch("touchMove", { ...finger, x: (finger.x -= 8) });
  await touch("touchEnd");
  await expect.poll(() => row.evaluate((element) => element.scrollLeft)).toBeGreaterThan(0);
  await page.clock.runFor(1000);
  expect(keys()).toEqual([]);
  await key("Tab").tap();
  await expect.poll(() => keys().length).toBe(2);
});

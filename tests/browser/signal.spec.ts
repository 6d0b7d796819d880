/**
 * The page while no picture comes: what it still shows, what it says, and that hands reach the target all the same.
 */
import { expect, test, type Page } from "@playwright/test";
import { expectConnected, logIn, pictureHash, power, screenOf, statusOf } from "./lib/console.ts";
import { ownedDaemon } from "./lib/owned.ts";
import { expectText } from "./lib/target.ts";

const daemon = ownedDaemon();

/** Opens the page and logs in. */
async function enter(page: Page): Promise<void> {
  await page.goto(daemon.url);
  await logIn(page);
  await expectConnected(page);
}

/** What says why there is no picture. */
const panel = (page: Page, title: string) =>
  page
    .getByRole("main")
    .locator("div")
    .filter({ has: page.getByRole("heading", { name: title }) });

/** How the browser changes the picture's colours. */
const filter = (page: Page) =>
  screenOf(page)
    .locator("canvas")
    .evaluate((canvas) => getComputedStyle(canvas).filter);

/** What would get a press in the middle of the panel. */
const isLetThrough = (page: Page, title: string) =>
  panel(page, title).evaluate((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    const hit = document.elementFromPoint(left + width / 2, top + height / 2);
    return hit !== null && hit.closest('[role="application"]') !== null;
  });

test("the last picture stays to be read, and text over it says what is wrong and how old it is", async ({
  page,
  browser,
}) => {
  await enter(page);
  await expectText(page, /\$ ?$/m);
  expect(await filter(page)).toBe("none");
  await power(page, "Force off");
  await expect(statusOf(page)).toHaveAttribute("data-signal", "no-signal");
  await expect(panel(page, "No signal")).toContainText("HDMI cable");
  // No card came in its place.
  await expectText(page, "Power down.");
  expect(await filter(page)).toContain("grayscale");
  const age = async () => Number(/Last picture (\d+) s ago/.exec(await panel(page, "No signal").innerText())?.[1]);
  const first = await age();
  await expect.poll(age).toBeGreaterThan(first);
  // The status line has announced it.
  expect(
    await panel(page, "No signal").evaluate((element) => element.closest("[aria-live], [role=status]")),
  ).toBeNull();
  expect(await isLetThrough(page, "No signal")).toBe(true);

  const late = await browser.newPage({ viewport: { width: 375, height: 667 } });
  await enter(late);
  await expectText(late, "Power down.");
  await expect(panel(late, "No signal")).toContainText(/Last picture \d+ s ago/);
  const box = await panel(late, "No signal").boundingBox();
  expect(box?.x).toBeGreaterThanOrEqual(0);
  expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(375);
  await late.close();

  const last = await pictureHash(page);
  await power(page, "Press power button");
  await expect(statusOf(page)).toHaveAttribute("data-signal", "ok");
  await expect(panel(page, "No signal")).toHaveCount(0);
  await expect.poll(() => filter(page)).toBe("none");
  await expect.poll(() => pictureHash(page)).not.toBe(last);
});

test("where no picture has ever come, the reason is told and the pointer is aimed at the usual shape", async ({
  page,
}) => {
  const sent: { type: string; x?: number; y?: number }[] = [];
  const told = {
    signal: "no-device",
    lost_ms: 5000,
    advice: "Plug the dongle in.",
    reason: "no capture device found",
    mode: null,
  };
  await page.routeWebSocket(/\/socket$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      sent.push(JSON.parse(String(message)));
      server.send(message);
    });
    server.onMessage((message) => {
      if (typeof message !== "string") return;
      const event = JSON.parse(message);
      socket.send(JSON.stringify(event.type === "status" ? { ...event, ...told } : event));
    });
  });
  await enter(page);
  const says = panel(page, "No capture device");
  await expect(says).toContainText("Plug the dongle in.");
  await expect(says).toContainText("no capture device found");
  await expect(says).not.toContainText("Last picture");
  await expect(page.getByText("Waiting for a picture")).toHaveCount(0);

  const room = await screenOf(page).boundingBox();
  if (room === null) throw new Error("the screen is not drawn");
  const height = Math.min(room.height, (room.width * 9) / 16);
  const at = { x: room.x + room.width / 2, y: room.y + room.height / 2 - height / 4 };
  await page.mouse.move(at.x, at.y);
  const aimed = () => sent.findLast(({ type }) => type === "pointer");
  await expect.poll(() => Math.abs((aimed()?.y ?? 0) - 32767 / 4)).toBeLessThan(60);
  expect(Math.abs((aimed()?.x ?? 0) - 32767 / 2)).toBeLessThan(60);
  // The panel, in the middle, is in nobody's way.
  await page.mouse.click(room.x + room.width / 2, room.y + room.height / 2);
  await page.keyboard.press("a");
  await expect.poll(() => sent.filter(({ type }) => type === "key").length).toBe(2);
});

test("a picture in limited range is stretched, and its black is black", async ({ page }) => {
  await page.routeWebSocket(/\/socket$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => {
      const event = typeof message === "string" ? JSON.parse(message) : null;
      socket.send(event?.type === "status" ? JSON.stringify({ ...event, range: "limited" }) : message);
    });
  });
  await enter(page);
  await expect.poll(() => filter(page)).toContain("contrast");
  // What the browser makes of 16, 126 and 235 by that.
  const stretched = await page.evaluate(
    (by) => {
      const pen = document.createElement("canvas").getContext("2d");
      if (pen === null) throw new Error("there is no canvas");
      pen.filter = by;
      return [16, 126, 235].map((grey) => {
        pen.fillStyle = `rgb(${grey} ${grey} ${grey})`;
        pen.fillRect(0, 0, 9, 9);
        return pen.getImageData(4, 4, 1, 1).data[0] ?? 0;
      });
    },
    await filter(page),
  );
  for (const [at, grey] of [0, 128, 255].entries()) {
    expect(Math.abs((stretched[at] ?? 99) - grey)).toBeLessThanOrEqual(2);
  }
});

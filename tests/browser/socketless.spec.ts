/**
 * The page where it gets no WebSocket: what it shows, what works, and what it says of the cause.
 */
import { expect, test, type Page } from "@playwright/test";
import { logIn, screenOf, statusOf } from "./lib/console.ts";
import { ownedDaemon } from "./lib/owned.ts";

const daemon = ownedDaemon();

/** Opens the page behind something that lets no WebSocket through. */
async function enter(page: Page): Promise<void> {
  await page.routeWebSocket(/\/socket$/, (socket) => socket.close());
  await page.goto(daemon.url);
  await logIn(page);
}

const banner = (page: Page) => page.getByRole("group").filter({ hasText: "no WebSocket gets through" });

test("the picture still comes, and chords, keys and power go over HTTP", async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true });
  const page = await context.newPage();
  await enter(page);
  await expect(banner(page)).toContainText("Power, Keys and Paste text work");
  const picture = screenOf(page).locator("img");
  await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);

  const pressed = (code: string) =>
    page.waitForRequest((request) => request.url().endsWith("/keys") && request.postData()?.includes(code) === true);
  // A key that no firmware has a use for, since the machine may just be starting.
  const [row] = await Promise.all([pressed("Tab"), page.getByRole("button", { name: "Tab", exact: true }).tap()]);
  expect(row.postDataJSON()).toMatchObject({ chord: ["Tab"] });

  await expect(statusOf(page)).toHaveAttribute("data-mode", "1024x768");
  await page.getByRole("button", { name: "Keys", exact: true }).tap();
  await page.getByRole("button", { name: "Ctrl-Alt-Del" }).tap();
  // The target has restarted: its firmware has another mode.
  await expect(statusOf(page)).toHaveAttribute("data-mode", "720x400");
  await context.close();
});

test("the certificate is named as a cause, and offered", async ({ page }) => {
  await enter(page);
  await banner(page).getByText("no WebSocket gets through").click();
  const link = banner(page).getByRole("link", { name: /certificate/i });
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  expect(download.suggestedFilename()).toBe("authority.crt");
  await expect(banner(page)).toContainText("Certificate Trust Settings");
});

test("a certificate of the owner's is not ours to offer", async ({ page }) => {
  await page.route("**/authority.crt", (route) => route.fulfill({ status: 404 }));
  await enter(page);
  await banner(page).getByText("no WebSocket gets through").click();
  await expect(banner(page)).toContainText("proxy");
  await expect(banner(page).getByRole("link")).toHaveCount(0);
});

test("a socket that the daemon refuses is told in its own words, and all else works", async ({ page }) => {
  const error = { code: "too-many-viewers", message: "eight pages of this login are open; close one" };
  await page.route("**/seats/main/socket", (route) => route.fulfill({ status: 429, json: { error } }));
  await enter(page);
  await expect(page.getByRole("alert").getByText("Eight pages of this login are open; close one.")).toBeVisible();
  await expect(statusOf(page)).toContainText("Refused");
  await expect(statusOf(page)).not.toContainText(/as of/i);
  await expect(banner(page)).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Power", exact: true })).toBeEnabled();
});

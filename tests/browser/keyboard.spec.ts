/**
 * The page without a mouse: how to leave the target's screen, and where the focus is afterwards.
 */
import { expect, test, type Page } from "@playwright/test";
import { expectConnected, PASSWORD, screenOf, statusOf, USER } from "./lib/console.ts";
import { ownedDaemon } from "./lib/owned.ts";

const daemon = ownedDaemon();

const tool = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

/** Logs in without a mouse; the screen has the focus then. */
async function enter(page: Page): Promise<void> {
  await page.goto(daemon.url);
  await expect(page.getByLabel("User")).toBeFocused();
  await page.keyboard.type(USER);
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await expectConnected(page);
  await expect(screenOf(page)).toHaveAttribute("data-input", "true");
  await expect(screenOf(page)).toBeFocused();
}

/** Leaves the screen and walks to a tool. */
async function walkTo(page: Page, name: string): Promise<void> {
  for (let press = 0; press < 2; press += 1) await page.keyboard.press("ControlRight");
  await expect(tool(page, "Power")).toBeFocused();
  for (const step of ["Power", "Keys", "Paste text", "Screenshot", "Full screen", "System"]) {
    await expect(tool(page, step)).toBeFocused();
    if (step === name) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`there is no tool ${name}`);
}

test("the way out of the screen is told for as long as the screen has the focus", async ({ page }) => {
  await enter(page);
  const wayOut = statusOf(page).getByText(/right Ctrl twice/i);
  await expect(wayOut).toBeVisible();
  // It costs nobody a look at the power.
  await expect(statusOf(page).getByText("Power on")).toBeInViewport({ ratio: 1 });
  await walkTo(page, "Power");
  await expect(wayOut).toBeHidden();
  await screenOf(page).focus();
  await expect(wayOut).toBeVisible();
});

test("in full screen, where there is no status line, the way out is told once", async ({ page }) => {
  await enter(page);
  await walkTo(page, "Full screen");
  await page.keyboard.press("Enter");
  await expect(screenOf(page)).toBeFocused();
  await expect(page.getByRole("log", { name: "Messages" })).toContainText(/right Ctrl twice/);
});

test("whoever opens something with a key is back where it was opened", async ({ page }) => {
  await enter(page);
  for (const name of ["Paste text", "System"]) {
    await walkTo(page, name);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("dialog", { name })).toBeVisible();
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toBeHidden();
    await expect(tool(page, name)).toBeFocused();
    await screenOf(page).focus();
  }
  await walkTo(page, "Keys");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Ctrl-Alt-Del" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Ctrl-Alt-Del" })).toBeHidden();
  await expect(tool(page, "Keys")).toBeFocused();
});

test("whoever clicked from the screen is back on the screen", async ({ page }) => {
  await enter(page);
  for (const name of ["Paste text", "System"]) {
    await tool(page, name).click();
    await expect(page.getByRole("dialog", { name })).toBeVisible();
    await page.keyboard.press("Escape");
    await expect(screenOf(page)).toBeFocused();
  }
  await tool(page, "Keys").click();
  await page.getByRole("button", { name: "Alt-Tab" }).click();
  await expect(screenOf(page)).toBeFocused();
});

test("Escape closes a panel, whatever has the focus, and leaves it on the panel's button", async ({ page }) => {
  await enter(page);
  await tool(page, "Power").click();
  await page.getByRole("button", { name: "Reset" }).click();
  await expect(page.getByRole("button", { name: "Cancel" })).toBeFocused();
  // As Safari does, which gives no button the focus that is clicked.
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Cancel" })).toBeHidden();
  await expect(tool(page, "Power")).toBeFocused();
});

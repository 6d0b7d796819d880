/**
 * The page while it has lost its daemon: what it still says, and what it still offers.
 */
import { expect, test, type Page } from "@playwright/test";
import { expectConnected, logIn, statusOf } from "./lib/console.ts";
import { ownedDaemon } from "./lib/owned.ts";
import { expectText } from "./lib/target.ts";

const daemon = ownedDaemon();

/** Opens the page, logs in and waits for the first figures. */
async function enter(page: Page): Promise<void> {
  await page.goto(daemon.url);
  await logIn(page);
  await expectConnected(page);
  await expect(statusOf(page)).toContainText(/\d fps/);
}

/** Kills the daemon, and looks once the page has noticed. */
const whileLost = (page: Page, look: () => Promise<void>): Promise<void> =>
  daemon.restart(async () => {
    await expect(statusOf(page)).toHaveAttribute("data-connection", "lost");
    await look();
  });

test("what was known before the loss is grey, dated, and without figures or lamps", async ({ page }) => {
  await page.clock.install({ time: new Date(2026, 10, 27, 12, 3) });
  await enter(page);
  // A machine that starts changes its mode, and may do so at the very end.
  await expectText(page, /\$ ?$/m);
  const status = statusOf(page);
  await expect(status).toContainText("Num");
  await expect(status.locator("[data-tone=good]")).not.toHaveCount(0);
  await whileLost(page, async () => {
    await expect(status).toContainText("Reconnecting");
    await expect(status).toContainText(/as of 12:03/i);
    await expect(status).toContainText("Signal OK");
    await expect(status).not.toContainText(/fps|ms|Num|Disk|Also here/);
    await expect(status.locator("[data-tone=good], [data-tone=busy]")).toHaveCount(0);
  });
  await expectConnected(page);
  await expect(status).not.toContainText(/as of/i);
  await expect(status).toContainText(/\d fps/);
});

test("what needs the daemon says why it cannot be used, and works once it is back", async ({ page }) => {
  await enter(page);
  const tools = ["Power", "Keys", "Paste text", "Screenshot"];
  const tool = (name: string) => page.getByRole("button", { name, exact: true });
  await tool("Power").click();
  await expect(page.getByRole("button", { name: "Reset" })).toBeVisible();
  await whileLost(page, async () => {
    // Its "Power on" is of before, and its buttons would fail.
    await expect(page.getByRole("button", { name: "Reset" })).toBeHidden();
    for (const name of tools) {
      await expect(tool(name)).toBeDisabled();
      await expect(tool(name)).toHaveAccessibleDescription(/connection .* lost/i);
    }
    // Whoever had reached one keeps it, and hears why: a finger sees no tooltip.
    await tool("Keys").press("Enter");
    await expect(tool("Keys")).toBeFocused();
    await expect(page.getByRole("log", { name: "Messages" })).toContainText(/connection .* lost/i);
    await expect(page.getByRole("button", { name: "Ctrl-Alt-Del" })).toBeHidden();
  });
  await expectConnected(page);
  for (const name of tools) await expect(tool(name)).toBeEnabled();
});

test("a key of the row is not kept for later", async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true });
  const page = await context.newPage();
  await enter(page);
  const asked: string[] = [];
  await whileLost(page, async () => {
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.getByRole("button", { name: "F2", exact: true }).tap({ force: true });
    await expect(page.getByRole("log", { name: "Messages" })).toContainText(/connection .* lost/i);
  });
  await expectConnected(page);
  expect(asked.filter((path) => path.endsWith("/keys"))).toEqual([]);
  await context.close();
});

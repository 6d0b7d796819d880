/**
 * The appliance itself, as its administrator sees it: updates, restart, factory reset, logs.
 *
 * The installer, the boot loader and the restart are scripts (see appliance.rs); what is uploaded begins with the word that
 * tells the installer what to do.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test, type Locator, type Page } from "@playwright/test";
import { claim, expectConnected, logIn } from "./lib/console.ts";
import { type Daemon, startAppliance, startDaemon } from "./lib/daemon.ts";

let daemon: Daemon;
let plain: Daemon;

test.beforeAll(async ({ browser }) => {
  [daemon, plain] = await Promise.all([startAppliance(), startDaemon()]);
  for (const each of [daemon, plain]) {
    const page = await browser.newPage();
    await claim(page, each.url, each.code);
    await page.close();
  }
});

test.afterAll(() => Promise.all([daemon.stop(), plain.stop()]));

const inAppliance = (name: string): string => join(daemon.folder, "appliance", name);

/** Opens the page and its system dialog. */
async function open(page: Page, url = daemon.url): Promise<Locator> {
  await page.goto(url);
  await logIn(page);
  await expectConnected(page);
  // On a phone it is behind another button.
  const more = page.getByRole("button", { name: "More", exact: true });
  if (await more.isVisible()) await more.click();
  await page.getByRole("button", { name: "System", exact: true }).click();
  const sheet = page.getByRole("dialog", { name: "System" });
  await expect(sheet.getByText("Last start")).toBeVisible();
  return sheet;
}

/** Chooses a file whose first word is for the installer. */
async function choose(sheet: Locator, text: string): Promise<void> {
  const file = { name: "farhand.raucb", mimeType: "application/octet-stream", buffer: Buffer.from(text) };
  await sheet.getByLabel("Update file").setInputFiles(file);
  await sheet.getByRole("button", { name: "Install", exact: true }).click();
}

test("it tells what runs, whether that has proven itself, and why it last started", async ({ page }) => {
  const sheet = await open(page);
  const told = await (await page.request.get(`${daemon.url}/api/v1/system`)).json();
  await expect(sheet.getByText(told.version, { exact: true })).toBeVisible();
  await expect(sheet.getByText("Slot A, confirmed")).toBeVisible();
  await expect(sheet.getByText(/this one came back \(slot B did not prove itself\)/)).toBeVisible();
});

test("it tells how its board is, and what a person has to see to", async ({ page }) => {
  const sheet = await open(page);
  await expect(sheet.getByText("61 °C", { exact: true })).toBeVisible();
  const faults = sheet.getByRole("list", { name: "To see to" });
  await expect(faults.getByRole("listitem")).toHaveText([/voltage was too low: use a better supply, or a thicker/]);

  const failing = { low_voltage: null, celsius: null, slowed: null, card: "failing" };
  writeFileSync(join(daemon.folder, "run", "health.json"), JSON.stringify(failing));
  await sheet.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByRole("button", { name: "System", exact: true }).click();
  await expect(faults.getByRole("listitem")).toHaveText([/The card is failing/]);
  await expect(sheet.getByText("Temperature")).toHaveCount(0);
});

test("a file that is no update is refused in words", async ({ page }) => {
  const sheet = await open(page);
  await choose(sheet, "nonsense");
  await expect(sheet.getByRole("alert").getByText(/not an update for Farhand/)).toBeVisible();
  await choose(sheet, "other board's");
  await expect(sheet.getByRole("alert").getByText(/for another device/)).toBeVisible();
});

test("an update shows its progress to every administrator, and waits for a restart", async ({ page, browser }) => {
  const sheet = await open(page);
  const other = await browser.newPage();
  const second = await open(other);
  await choose(sheet, `slow\n${"x".repeat(3_000_000)}`);
  for (const each of [sheet, second]) {
    const bar = each.getByRole("progressbar", { name: "Update" });
    await expect.poll(async () => Number(await bar.getAttribute("value"))).toBeGreaterThanOrEqual(40);
    await expect(each.getByText(/Writing the new system: \d+ %/)).toBeVisible();
    await expect(each.getByLabel("Update file")).toBeDisabled();
  }
  writeFileSync(inAppliance("go"), "");
  for (const each of [sheet, second]) {
    await expect(each.getByText(/is installed and starts with the next restart/)).toBeVisible();
  }
  expect(existsSync(inAppliance("rebooted"))).toBe(false);
  await other.close();
  await sheet.getByRole("button", { name: "Restart into the update" }).click();
  await expect(sheet.getByText(/is restarting/)).toBeVisible();
  expect(existsSync(inAppliance("rebooted"))).toBe(true);
  expect(readFileSync(join(daemon.folder, "data/state/restart"), "utf8")).toBe("update\n");
  // The appliance goes, and comes back with a page that is loaded again: it has forgotten the dialog.
  await daemon.restart(async () => {
    await page.waitForEvent("requestfailed", (request) => request.url().endsWith("/health"));
    await expect(sheet.getByText(/is restarting/)).toBeVisible();
  });
  await expect(sheet).toBeHidden({ timeout: 30_000 });
});

test("an update is fetched from where the configuration says, and from nowhere else", async ({ page, browser }) => {
  await expect((await open(page)).getByRole("button", { name: /Get it from/ })).toHaveCount(0);

  let serve: (response: ServerResponse) => void = (response) => response.writeHead(404).end("nothing");
  const origin = createServer((_, response) => serve(response));
  await new Promise<void>((listening) => origin.listen(0, "127.0.0.1", listening));
  const { port } = origin.address() as AddressInfo;
  const fetching = await startAppliance(`http://127.0.0.1:${port}/farhand.raucb`);
  await claim(page, fetching.url, fetching.code);
  await page.context().clearCookies();
  const sheet = await open(page, fetching.url);
  const get = sheet.getByRole("button", { name: `Get it from 127.0.0.1:${port}` });
  await get.click();
  await expect(
    sheet.getByRole("alert").getByText(/127\.0\.0\.1:\d+ answered 404: there is no such file/),
  ).toBeVisible();

  const other = await browser.newPage({ viewport: { width: 375, height: 740 } });
  const second = await open(other, fetching.url);
  expect(await second.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
  const body = `slow\n${"x".repeat(3_000_000)}`;
  serve = (response) => response.writeHead(200, { "Content-Length": body.length }).write(body.slice(0, 1_515_000));
  await get.click();
  for (const each of [sheet, second]) {
    await expect(each.getByText("Getting the file: 50 %")).toBeVisible();
    await expect(each.getByRole("progressbar", { name: "Update" })).toHaveAttribute("value", "50");
    await expect(each.getByRole("button", { name: /Get it from/ })).toBeDisabled();
  }
  await second.getByRole("button", { name: "Cancel" }).click();
  await expect(second.getByText("Cancelled.")).toBeVisible();
  await expect(sheet.getByRole("progressbar")).toHaveCount(0);
  await other.close();

  serve = (response) => response.writeHead(200, { "Content-Length": body.length }).end(body);
  await get.click();
  await expect(sheet.getByText(/Writing the new system: \d+ %/)).toBeVisible();
  await expect(sheet.getByRole("button", { name: "Cancel" })).toHaveCount(0);
  writeFileSync(join(fetching.folder, "appliance/go"), "");
  await expect(sheet.getByRole("button", { name: "Restart into the update" })).toBeVisible();
  await fetching.stop();
  origin.close();
});

test("a log is read as text, whatever is in it", async ({ page }) => {
  const sheet = await open(page);
  let alerted = false;
  page.on("dialog", () => (alerted = true));
  await sheet.getByText("Logs", { exact: true }).click();
  await expect(sheet.getByRole("alert").getByText(/keeps no log of serve/)).toBeVisible();
  await sheet.getByLabel("Log", { exact: true }).first().selectOption("hands");
  await expect(sheet.getByText("a line of a log <img src=x onerror=alert(1)>")).toBeVisible();
  expect(alerted).toBe(false);
});

test("on a phone the dialog fits the width, with its longest log open", async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 375, height: 740 }, hasTouch: true });
  const page = await context.newPage();
  const sheet = await open(page);
  await sheet.getByText("Logs", { exact: true }).click();
  await sheet.getByLabel("Log", { exact: true }).first().selectOption("hands");
  await expect(sheet.getByText(/a line of a log/)).toBeVisible();
  expect(await sheet.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBe(0);
  await context.close();
});

test("who thinks better of a restart is back at its button", async ({ page }) => {
  const sheet = await open(page);
  const button = sheet.getByRole("button", { name: "Restart appliance" });
  await button.click();
  await expect(sheet.getByRole("button", { name: "Cancel" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(button).toBeFocused();
});

test("a factory reset asks for the appliance's name", async ({ page }) => {
  const sheet = await open(page);
  const { host } = await (await page.request.get(`${daemon.url}/api/v1/system`)).json();
  await sheet.getByText("Factory reset", { exact: true }).click();
  const forget = sheet.getByRole("button", { name: "Forget everything" });
  await sheet.getByLabel(/Type .* to confirm/).fill(`${host}x`);
  await expect(forget).toHaveAttribute("aria-disabled", "true");
  await sheet.getByLabel(/Type .* to confirm/).press("Enter");
  const marker = join(daemon.folder, "data/state/factory-reset");
  await sheet.getByLabel(/Type .* to confirm/).fill(host);
  await expect(forget).toHaveAttribute("aria-disabled", "false");
  expect(existsSync(marker)).toBe(false);
  await forget.click();
  await expect(sheet.getByText(/is restarting/)).toBeVisible();
  expect(existsSync(marker)).toBe(true);
});

test("a simulation says that there is nothing to update", async ({ page }) => {
  const sheet = await open(page, plain.url);
  await expect(sheet.getByText(/This is a simulation/)).toBeVisible();
  await expect(sheet.getByRole("button", { name: "Install" })).toHaveCount(0);
  await expect(sheet.getByRole("button", { name: "Restart appliance" })).toHaveCount(0);
});

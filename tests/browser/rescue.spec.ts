/**
 * The page that is left when a part of the daemon kept on crashing.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { PASSWORD, USER } from "./lib/console.ts";
import { type Daemon, startDaemon } from "./lib/daemon.ts";

let daemon: Daemon;
let folder: string;

test.beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "farhand-rescue-"));
  const config = join(folder, "farhand.toml");
  // What an owner got wrong must not keep the rescue page from coming; the port of plain HTTP may not be ours.
  writeFileSync(config, '[server]\nhttp = "none"\n');
  daemon = await startDaemon(["--rescue", "--config", config, "--hands", join(folder, "nobody.sock")]);
});

test.afterAll(async () => {
  await daemon.stop();
  rmSync(folder, { recursive: true });
});

test("the rescue page lets its owner in, and nobody else sees the tools", async ({ page }) => {
  const complaints: string[] = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.goto(daemon.url);
  await expect(page.getByRole("heading", { name: "Rescue mode" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Restart" })).toBeHidden();
  await page.getByLabel("Claim code").fill(daemon.code);
  // As a phone's keyboard leaves a word that it completes.
  await page.getByLabel("User").fill(`${USER} `);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  for (const name of ["Install", "Restart", "Show"]) await expect(page.getByRole("button", { name })).toBeVisible();
  await expect(page.getByRole("button", { name: "Log in" })).toBeHidden();
  // A strict policy would say so of an inline script, and a wrong path of a missing file.
  expect(complaints).toEqual([]);

  // Nobody holds the hardware here, so there is nobody to restart it, and the page says so in words.
  await page.getByRole("button", { name: "Restart" }).click();
  await expect(page.getByRole("status")).not.toBeEmpty();
  await expect(page.getByRole("status")).not.toHaveText(/Restarting/);
});

test("a wrong password is told in words", async ({ page }) => {
  await page.goto(daemon.url);
  await page.getByLabel("User").fill(USER);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("status")).toHaveText(/password/);
  await expect(page.getByRole("button", { name: "Install" })).toBeHidden();
});

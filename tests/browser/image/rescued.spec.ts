/**
 * The rescue page of the image in a virtual machine, up to the restart that it asks for.
 */
import { expect, test } from "@playwright/test";
import { PASSWORD, USER } from "../lib/console.ts";

test("the rescue page tells what happened, refuses what is no update, and restarts", async ({ page }) => {
  await page.goto(process.env["FARHAND_URL"] ?? "");
  await page.getByLabel("Claim code").fill(process.env["FARHAND_CODE"] ?? "");
  await page.getByLabel("User").fill(USER);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page.locator("#log")).toContainText("a restart did not help: changing to rescue mode");

  const nonsense = { name: "x.raucb", mimeType: "application/octet-stream", buffer: Buffer.from("nonsense") };
  await page.getByLabel("Update file").setInputFiles(nonsense);
  await page.getByRole("button", { name: "Install" }).click();
  // The exact words are the installer's part; without slots it is that there is nothing to install into.
  await expect(page.getByRole("status")).toHaveText(/[a-z]{3}/);
  await expect(page.getByRole("button", { name: "Install" })).toBeEnabled();
  await expect(page.getByRole("status")).not.toHaveText(/^(Installed|Sending)/);

  await page.getByRole("button", { name: "Restart" }).click();
  await expect(page.getByRole("status")).toHaveText(/Restarting/);
});

/**
 * A PC with a real BIOS, worked from a browser through the image: the reason why any of this exists.
 *
 * What the page shows is compared with what the PC itself has on its screen (`lib/pc.ts`).
 */
import { expect, test } from "@playwright/test";
import { claim, power, screenOf, statusOf } from "../lib/console.ts";
import { expectOnPc, expectSameScreen, pc } from "../lib/pc.ts";

test("switch a PC on, choose a disc in its boot menu, type, and cut its power", async ({ page }) => {
  const status = statusOf(page);

  await test.step("a PC that is off sends no signal", async () => {
    await claim(page, process.env["FARHAND_URL"] ?? "", process.env["FARHAND_CODE"] ?? "");
    await expect(status).toHaveAttribute("data-signal", "no-signal");
    await expect(status).toHaveAttribute("data-power", "off");
    expect((await pc()).running).toBe(false);
  });

  await test.step("its power button starts it, and what its BIOS says is in our page", async () => {
    await power(page, "Press power button");
    await expectOnPc("Press F12 for boot menu");
    await expect(status).toHaveAttribute("data-signal", "ok");
    await expect(status).toHaveAttribute("data-mode", "720x400");
    await expect(status).toHaveAttribute("data-power", "on");
    await expectSameScreen(page);
  });

  await test.step("F12 opens the boot menu", async () => {
    await screenOf(page).focus();
    await page.keyboard.press("F12", { delay: 100 });
    await expectOnPc(/Select boot device:[^]*Disc two/);
    await expectSameScreen(page);
  });

  await test.step("a key chooses the second disc, which boots", async () => {
    const [, number = ""] = /(\d)\. .*Disc two/.exec((await pc()).text) ?? [];
    await page.keyboard.press(number, { delay: 100 });
    await expectOnPc("Booted from disc two");
  });

  await test.step("what booted hears every key", async () => {
    await page.keyboard.type("farhand was here", { delay: 200 });
    await expectOnPc(/^farhand was here$/m);
    await expectSameScreen(page);
  });

  await test.step("holding the power button switches it off", async () => {
    await power(page, "Force off");
    await expect.poll(async () => (await pc()).running).toBe(false);
    await expect(status).toHaveAttribute("data-signal", "no-signal");
    await expect(status).toHaveAttribute("data-power", "off");
  });

  await test.step("a key that is held while it starts opens the boot menu as it would on a keyboard of its own", async () => {
    await screenOf(page).focus();
    expect((await pc()).text).not.toContain("Select boot device:");
    await page.keyboard.down("F12");
    // Not by the page's menu, which would take the focus, and with it the key.
    const url = process.env["FARHAND_URL"] ?? "";
    const press = () =>
      page.request.post(`${url}/api/v1/seats/main/power`, { headers: { Origin: url }, data: { press: "tap" } });
    // The hold by which it was switched off lasts a little longer than the power.
    await expect.poll(async () => (await press()).status()).toBe(202);
    await expectOnPc(/Select boot device:[^]*Disc two/);
    await page.keyboard.up("F12");
  });
});

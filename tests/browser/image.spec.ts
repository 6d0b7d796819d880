/**
 * What an owner must be able to trust when the appliance itself fails: run on the image in a virtual machine.
 */
import { expect, test } from "@playwright/test";
import { claim, expectConnected, screenOf, statusOf } from "./lib/console.ts";
import { expectCutShort, expectLetGo, killServe } from "./lib/witness.ts";

test("killing serve in mid-press lets go of key and relay, and the page comes back", async ({ page }) => {
  const url = process.env["FARHAND_URL"] ?? "";
  await claim(page, url, process.env["FARHAND_CODE"] ?? "");

  await expectLetGo("k", async () => {
    await screenOf(page).focus();
    await page.keyboard.down("k");
    await expectCutShort(12_000, async () => {
      // By request, because a click in the menu would take the focus from the screen and so let go of the key.
      const answer = await page.request.post(`${url}/api/v1/seats/main/power`, {
        data: { press: "hold", seconds: 12 },
      });
      expect(answer.status()).toBe(202);
      await killServe();
    });
  });

  await expect(statusOf(page)).toHaveAttribute("data-connection", "lost");
  await expectConnected(page);
});

/**
 * One person's first hour with a Farhand: the same story on the simulated machine and on the image in a virtual machine.
 *
 * The target itself shows what reached it: its screen, or its kernel (`lib/target.ts`).
 */
import { expect, test } from "@playwright/test";
import {
  claim,
  expectConnected,
  logIn,
  PASSWORD,
  pictureHash,
  power,
  screenOf,
  statusOf,
  USER,
} from "./lib/console.ts";
import { startTarget, type Target } from "./lib/target.ts";

let target: Target;

test.beforeAll(async () => {
  target = await startTarget();
});

test.afterAll(async () => {
  await target.stop();
});

test("claim, look, type, point, press, come back", async ({ page, browser }) => {
  await test.step("a wrong claim code is refused and says so", async () => {
    await page.goto(target.url);
    await page.getByLabel("Claim code").fill("AAAA-AAAA");
    await page.getByLabel("User").fill(USER);
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByLabel("Repeat password").fill(PASSWORD);
    await page.getByRole("button", { name: "Claim" }).click();
    await expect(page.getByRole("alert")).toContainText("code");
  });

  await test.step("the right code claims", async () => {
    await claim(page, target.url, target.code);
  });

  await test.step("the picture arrives and changes", async () => {
    await target.awake(page);
    await expect(statusOf(page)).toHaveAttribute("data-signal", "ok");
    const first = await pictureHash(page);
    await expect.poll(() => pictureHash(page)).not.toBe(first);
  });

  await test.step("a typed word reaches the target, each key down and up", async () => {
    await target.expectTyped(page, "hello", async () => {
      await screenOf(page).focus();
      await page.keyboard.type("hello");
    });
  });

  await test.step("a click lands within one part in a thousand", async () => {
    for (const [x, y] of [
      [0.25, 0.375],
      [0.8125, 0.625],
    ] as const) {
      await target.expectClick(page, x, y);
    }
  });

  await test.step("pressing the power button closes the relay for half a second", async () => {
    await target.expectTap(page, () => power(page, "Press power button"));
  });

  await test.step("a reload carries on without logging in again", async () => {
    await page.reload();
    await expectConnected(page);
  });

  await test.step("another browser must log in, with the right password", async () => {
    const other = await (await browser.newContext()).newPage();
    await other.goto(target.url);
    await logIn(other, "not the password");
    await expect(other.getByRole("alert")).toContainText(/password/i);
    await logIn(other);
    await expectConnected(other);
    // Each sees that the other is here.
    await expect(statusOf(page)).toContainText(USER);
    await other.context().close();
  });

  await test.step("after a log-out nothing is left to see", async () => {
    await page.getByRole("button", { name: "Log out" }).click();
    await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
    const answer = await page.request.get(`${target.url}/api/v1/seats/main/snapshot.jpg`);
    expect(answer.status()).toBe(401);
    await logIn(page);
    await expectConnected(page);
  });

  await test.step("when the daemon dies the page comes back by itself", async () => {
    await target.restartDaemon(page);
    await expectConnected(page);
  });
});

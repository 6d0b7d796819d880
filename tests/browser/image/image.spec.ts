/**
 * What an owner must be able to trust when something fails: run on the image in a virtual machine.
 */
import { expect, type Page, test } from "@playwright/test";
import { claim, expectConnected, screenOf, statusOf } from "../lib/console.ts";
import { expectCutShort, expectReleased, expectTyped, guest, killServe } from "../lib/witness.ts";

const url = process.env["FARHAND_URL"] ?? "";
let page: Page;

test.describe.configure({ mode: "serial" });

test.beforeAll(async ({ browser }) => {
  page = await browser.newPage();
  await claim(page, url, process.env["FARHAND_CODE"] ?? "");
});

test.afterAll(() => page.close());

/** Holds the power button by request: a click in the page's menu would take the focus from the screen. */
async function hold(seconds: number): Promise<void> {
  const answer = await page.request.post(`${url}/api/v1/seats/main/power`, { data: { press: "hold", seconds } });
  expect(answer.status()).toBe(202);
}

test("the keyboard's lamps are the target's to light", async () => {
  const lamp = (await guest("ls -d /sys/class/leds/*::capslock | tail -n 1")).trim();
  const lit = async () => (await (await page.request.get(`${url}/api/v1/seats/main`)).json()).keyboard_leds.caps;
  for (const [brightness, caps] of [
    [1, true],
    [0, false],
  ]) {
    await guest(`echo ${brightness} >${lamp}/brightness`);
    await expect.poll(lit).toBe(caps);
  }
});

test("the front panel's lamps are seen", async () => {
  const panel = (await guest("ls -d /sys/devices/platform/gpio-sim.0/gpiochip*")).trim();
  await guest(`echo pull-up >${panel}/sim_gpio2/pull`);
  await expect(statusOf(page)).toHaveAttribute("data-power", "on");
  await guest(`echo pull-down >${panel}/sim_gpio2/pull`);
  await expect(statusOf(page)).toHaveAttribute("data-power", "off");
});

test("a capture device that is unplugged is missed, and taken up again when it comes back", async () => {
  await expect(statusOf(page)).toHaveAttribute("data-signal", "ok");
  await guest("echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind");
  await expect(statusOf(page)).toHaveAttribute("data-signal", "no-device");
  await expect(statusOf(page)).toHaveAttribute("data-connection", "open");
  await guest("echo vivid.0 >/sys/bus/platform/drivers/vivid/bind");
  await expect(statusOf(page)).toHaveAttribute("data-signal", "ok");
});

test("a capture device that another program holds is called busy until it is free", async () => {
  // Whoever streams first holds it; here that is a second daemon.
  await guest("sv -w 20 stop /etc/sv/serve");
  const other = "farhand serve --data /tmp/other --https 127.0.0.1:9443 --http 127.0.0.1:9080 --hands /tmp/none";
  await guest(`${other} >/tmp/other.log 2>&1 & echo $! >/tmp/other.pid`);
  await expect(async () => expect(await guest("cat /tmp/other.log")).toContain("/dev/video0")).toPass();
  await guest("sv up /etc/sv/serve");
  await expect(statusOf(page)).toHaveAttribute("data-signal", "busy");
  await guest("kill $(cat /tmp/other.pid)");
  await expect(statusOf(page)).toHaveAttribute("data-signal", "ok");
});

test("killing the hands in mid-press opens the relay, and the keyboard is plugged in again", async () => {
  await expectCutShort(12_000, async () => {
    await hold(12);
    await guest("kill -9 $(cat /run/sv/hands/pid)");
  });
  await expect(statusOf(page)).toHaveAttribute("data-usb", "configured");
  await expectTyped("again", async () => {
    await screenOf(page).focus();
    await page.keyboard.type("again");
  });
});

test("killing serve in mid-press releases key and relay, and the page comes back", async () => {
  await expectReleased("k", async () => {
    await screenOf(page).focus();
    await page.keyboard.down("k");
    await expectCutShort(12_000, async () => {
      await hold(12);
      await killServe();
    });
  });
  await expectConnected(page);
});

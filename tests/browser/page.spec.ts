/**
 * The page itself: on a phone, in the dark, on the wire, and with what it offers to whom.
 */
import { expect, test, type Page, type Route } from "@playwright/test";
import { expectConnected, logIn, PASSWORD, power, screenOf, statusOf, USER } from "./lib/console.ts";
import { startDaemon } from "./lib/daemon.ts";
import { ownedDaemon } from "./lib/owned.ts";
import { expectText } from "./lib/target.ts";

const daemon = ownedDaemon();

/** Opens the page as somebody new, and logs in. */
async function enter(page: Page): Promise<void> {
  await page.goto(daemon.url);
  await logIn(page);
}

test("on a phone everything fits the width and the keys of a BIOS are at hand", async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 375, height: 740 }, hasTouch: true });
  const page = await context.newPage();
  await enter(page);
  await expectConnected(page);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(overflow).toBeLessThanOrEqual(0);
  await power(page, "Reset");
  await expectText(page, /USB +: Keyboard/);
  await page.getByRole("button", { name: "F12", exact: true }).tap();
  await expectText(page, "Please select a boot device");
  await context.close();
});

test("a space that a phone's keyboard puts behind a name keeps nobody out", async ({ page, browser }) => {
  await page.goto(daemon.url);
  await page.getByLabel("User").fill(` ${USER} `);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await expectConnected(page);

  const fresh = await startDaemon();
  const owner = await browser.newPage();
  await owner.goto(fresh.url);
  await owner.getByLabel("Claim code").fill(` ${fresh.code} `);
  await owner.getByLabel("User").fill(`${USER} `);
  // A password may begin and end as it likes.
  await owner.getByLabel("Password", { exact: true }).fill(` ${PASSWORD} `);
  await owner.getByLabel("Repeat password").fill(` ${PASSWORD} `);
  await owner.getByRole("button", { name: "Claim" }).click();
  await expectConnected(owner);
  await owner.getByRole("button", { name: "Log out" }).click();
  await logIn(owner, ` ${PASSWORD} `);
  await expectConnected(owner);
  await owner.close();
  await fresh.stop();
});

test("the page is dark for anyone who prefers it dark", async ({ browser }) => {
  const brightness = async (colorScheme: "dark" | "light") => {
    const context = await browser.newContext({ colorScheme });
    const page = await context.newPage();
    await page.goto(daemon.url);
    const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await context.close();
    return (colour.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
  };
  expect(await brightness("dark")).toBeLessThan(200);
  expect(await brightness("light")).toBeGreaterThan(600);
});

test("the page travels compressed, and whole to who cannot read that", async ({ page }) => {
  const codings = new Map<string, string | undefined>();
  let bytes = 0;
  const counted: Promise<void>[] = [];
  page.on("requestfinished", (request) => {
    if (!["document", "script", "stylesheet"].includes(request.resourceType())) return;
    const count = async () => {
      codings.set(request.url(), (await request.response())?.headers()["content-encoding"]);
      bytes += (await request.sizes()).responseBodySize;
    };
    counted.push(count());
  });
  await page.goto(daemon.url);
  await expect(page.getByLabel("User")).toBeVisible();
  await Promise.all(counted);
  expect([...codings.values()]).toEqual(["br", "br", "br"]);
  expect(bytes).toBeLessThan(35_000);

  for (const url of codings.keys()) {
    const ask = (coding: string) => page.request.get(url, { headers: { "Accept-Encoding": coding } });
    const [plain, gzip] = [await ask("identity"), await ask("gzip;q=0.5, br;q=0")];
    expect([plain.headers()["content-encoding"], gzip.headers()["content-encoding"]]).toEqual([undefined, "gzip"]);
    for (const answer of [plain, gzip]) expect(answer.headers()["vary"]).toBe("accept-encoding");
    expect(await gzip.text()).toBe(await plain.text());
  }
});

/** Lets the page believe that it has these privileges alone. */
async function pretend(page: Page, privileges: readonly string[]): Promise<void> {
  await page.route("**/api/v1/session", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), privileges } });
  });
  await page.routeWebSocket(/\/socket$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => {
      const said = typeof message === "string" ? JSON.parse(message) : {};
      socket.send(said.type === "hello" ? JSON.stringify({ ...said, privileges }) : message);
    });
  });
}

test("what is offered follows from privileges, whatever a role is called", async ({ page }) => {
  await pretend(page, ["view", "power"]);
  await enter(page);
  await expectConnected(page);
  await expect(page.getByRole("button", { name: "Power", exact: true })).toBeEnabled();
  for (const name of ["Keys", "Paste text"]) {
    await expect(page.getByRole("button", { name, exact: true })).toBeDisabled();
  }
  await expect(page.getByRole("button", { name: "System", exact: true })).toHaveCount(0);
  await expect(screenOf(page)).toHaveAttribute("data-input", "false");
  await expect(page.getByText("You may only watch")).toHaveCount(0);
});

test("the right Control key twice leaves the screen for the first tool that can be used", async ({ page }) => {
  await pretend(page, ["view", "input"]);
  await enter(page);
  await expect(screenOf(page)).toHaveAttribute("data-input", "true");
  await screenOf(page).focus();
  for (const key of ["Tab", "Escape", "ControlRight", "ControlRight"]) {
    await expect(screenOf(page)).toBeFocused();
    await page.keyboard.press(key);
  }
  await expect(page.getByRole("button", { name: "Keys", exact: true })).toBeFocused();
});

test("how long a button is held is what the daemon answers, and what the page has offered", async ({ page }) => {
  let asked: unknown;
  await page.route("**/power", async (route) => {
    asked = route.request().postDataJSON();
    await route.fulfill({ status: 202, json: { press: "hold", seconds: 4.25 } });
  });
  await enter(page);
  await expectConnected(page);
  await page.getByRole("button", { name: "Power", exact: true }).click();
  const name = await page.getByRole("button", { name: "Force off" }).innerText();
  await page.getByRole("button", { name }).click();
  await page.getByRole("button", { name: "Confirm" }).click();
  await expect(page.getByText("is being held for 4.25 s")).toBeVisible();
  const seconds = Number(/[0-9.]+/.exec(name)?.[0]);
  expect(asked).toEqual({ press: "hold", seconds, at: expect.any(Number) });
});

test("the question before a press keeps the keyboard where the person has put it", async ({ page, browser }) => {
  await enter(page);
  await expectConnected(page);
  await page.getByRole("button", { name: "Power", exact: true }).click();
  await page.getByRole("button", { name: "Reset" }).click();
  await expect(page.getByRole("button", { name: "Cancel" })).toBeFocused();
  await page.keyboard.press("Tab");
  // Somebody else's coming changes the status, and what the panel shows with it.
  const other = await browser.newPage();
  await enter(other);
  await expect(statusOf(page)).toContainText("Also here");
  await expect(page.getByRole("button", { name: "Confirm" })).toBeFocused();
  await other.close();

  // Whoever cancels is where they were, and can go on from there.
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Reset" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Reset" })).toBeHidden();
  await expect(page.getByRole("button", { name: "Power", exact: true })).toBeFocused();
});

test("a page from before an update offers to reload, and does so only when asked", async ({ page }) => {
  await enter(page);
  await expectConnected(page);
  const system = page.getByRole("button", { name: "System", exact: true });
  const dialog = (name: string | RegExp) => page.getByRole("dialog", { name });
  const gone = (route: Route) => route.fulfill({ status: 404 });
  await page.route("**/assets/system-*.js", gone);
  await system.click();
  await expect(page.getByRole("log", { name: "Messages" })).toContainText(/did not load/);
  await expect(dialog(/new version/)).toHaveCount(0);

  await page.route(`${daemon.url}/`, (route) =>
    route.fulfill({ contentType: "text/html", body: '<script src="/assets/index-after.js"></script>' }),
  );
  await page.evaluate(() => (document.body.dataset["page"] = "first"));
  await system.click();
  await expect(dialog(/new version/)).toBeVisible();
  await dialog(/new version/)
    .getByRole("button", { name: "Close" })
    .click();
  await expect(page.locator("body")).toHaveAttribute("data-page", "first");

  await system.click();
  await expect(dialog(/new version/)).toBeVisible();
  await page.unrouteAll();
  await dialog(/new version/)
    .getByRole("button", { name: "Reload" })
    .click();
  await expectConnected(page);
  await expect(page.locator("body")).not.toHaveAttribute("data-page");
  await system.click();
  await expect(dialog("System")).toBeVisible();
});

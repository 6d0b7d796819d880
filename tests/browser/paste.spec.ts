/**
 * A text that is pasted: checked as a whole before its first key, mended in place, and stopped with a true count.
 */
import { expect, test, type Page } from "@playwright/test";
import { expectConnected, logIn, screenOf } from "./lib/console.ts";
import { ownedDaemon } from "./lib/owned.ts";
import { expectText } from "./lib/target.ts";

const daemon = ownedDaemon((page) => expectText(page, /\$ ?$/m));

/** Opens the dialog of a page, and says what it has had typed; `type` takes the place of the target. */
async function open(page: Page, type?: () => Promise<void>): Promise<string[]> {
  const typed: string[] = [];
  await page.route("**/keys", async (route) => {
    const { text, check } = route.request().postDataJSON();
    if (check === true) return route.continue();
    typed.push(text);
    if (type === undefined) return route.continue();
    await type();
    return route.fulfill({ json: { typed: text.length } });
  });
  await page.goto(daemon.url);
  await logIn(page);
  await expectConnected(page);
  await page.getByRole("button", { name: "Paste text" }).click();
  return typed;
}

const field = (page: Page) => page.getByRole("textbox", { name: "Text to type" });
const dialog = (page: Page) => page.getByRole("dialog", { name: "Paste text" });

test("pasted text is typed at the target", async ({ page }) => {
  const text = 'echo "Typed, 1 + 1 = 2!"';
  const typed = await open(page);
  await field(page).fill(text);
  await page.getByRole("button", { name: "Type it" }).click();
  await expectText(page, text);
  expect(typed).toEqual([text]);
});

test("what no key types is marked and named at once, and nothing is typed", async ({ page }) => {
  const typed = await open(page);
  await field(page).fill(`${"x".repeat(100)}\ncafé`);
  await expect(dialog(page).getByText("“é” in line 2")).toBeVisible();
  await expect(dialog(page).locator("mark")).toHaveText("é");
  await expect(field(page)).toHaveAttribute("aria-invalid", "true");
  await page.getByRole("button", { name: "Type it" }).click();
  await expect(dialog(page).getByRole("alert")).toContainText("Nothing was typed");
  expect(typed).toEqual([]);

  await field(page).fill("cafe");
  await expect(dialog(page).locator("mark")).toHaveCount(0);
  await expect(dialog(page).getByText("Nothing was typed")).toHaveCount(0);
});

test("quotes, dashes and spaces of a web page are made plain, and Ctrl+Enter starts", async ({ page }) => {
  const typed = await open(page);
  await field(page).fill("echo “a\u00a0b” –n");
  await expect(dialog(page).getByText("(no-break space)")).toBeVisible();
  await page.getByRole("button", { name: "Replace by plain quotes, dashes and spaces" }).click();
  await expect(field(page)).toHaveValue('echo "a b" -n');
  await expect(dialog(page).locator("mark")).toHaveCount(0);
  await expect(dialog(page).getByText(/13 characters, about 1 s/)).toBeVisible();
  await field(page).press("Control+Enter");
  await expect(dialog(page)).toBeHidden();
  expect(typed).toEqual(['echo "a b" -n']);
  await expectText(page, 'echo "a b" -n');
  await expect(screenOf(page)).toBeFocused();
});

test("whoever stops is told how much was typed, and keeps the rest", async ({ page }) => {
  let taken = (): void => undefined;
  const target = new Promise<void>((resolve) => (taken = resolve));
  await open(page, () => target);
  await field(page).fill("y".repeat(130));
  await page.getByRole("button", { name: "Type it" }).click();
  await expect(dialog(page).getByText(/about \d+ s left/)).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("button", { name: "Stopping…" })).toBeVisible();
  taken();
  await expect(dialog(page).getByRole("alert")).toContainText("64 of 130 characters were typed");
  await expect(field(page)).toHaveValue("y".repeat(66));
});

test("where the daemon cannot say whether all can be typed, nothing is", async ({ page }) => {
  const typed = await open(page);
  await page.route("**/keys", (route) =>
    route.fulfill({ status: 503, json: { error: { code: "hands-away", message: "the hands restart" } } }),
  );
  await field(page).fill("ls");
  await page.getByRole("button", { name: "Type it" }).click();
  await expect(dialog(page).getByRole("alert")).toHaveText("The hands restart. Nothing was typed.");
  expect(typed).toEqual([]);
});

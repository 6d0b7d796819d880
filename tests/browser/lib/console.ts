/**
 * The page as a person finds it: by what things are called, never by how they are built.
 */
import { expect, type Locator, type Page } from "@playwright/test";

/** Who the tests are. */
export const USER = "anna";
/** How they prove it. */
export const PASSWORD = "correct horse battery";

/** The picture, which takes keys and pointer. */
export const screenOf = (page: Page): Locator => page.getByRole("application", { name: "Screen of main" });

/** The line that tells how things are, in words and in `data-` attributes. */
export const statusOf = (page: Page): Locator => page.locator("[data-signal]").first();

/** Claims a new device and waits for the console. */
export async function claim(page: Page, url: string, code: string): Promise<void> {
  await page.goto(url);
  await page.getByLabel("Claim code").fill(code);
  await page.getByLabel("User").fill(USER);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Repeat password").fill(PASSWORD);
  await page.getByRole("button", { name: "Claim" }).click();
  await expectConnected(page);
}

/** Logs in and waits for the console. */
export async function logIn(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel("User").fill(USER);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Waits until the page is connected. */
export async function expectConnected(page: Page): Promise<void> {
  await expect(statusOf(page)).toHaveAttribute("data-connection", "open");
}

/** Presses something in the power menu, with its confirmation. */
export async function power(page: Page, button: "Press power button" | "Force off" | "Reset"): Promise<void> {
  await page.getByRole("button", { name: "Power", exact: true }).click();
  await page
    .getByRole("button", { name: button })
    .or(page.getByRole("menuitem", { name: button }))
    .click();
  await page.getByRole("button", { name: "Confirm" }).click();
}

/** Brings the keyboard to the picture without clicking on the target. */
export async function focusScreen(page: Page): Promise<void> {
  await screenOf(page).focus();
}

/** A number that changes with the picture's content. */
export async function pictureHash(page: Page): Promise<number> {
  return screenOf(page).evaluate((element) => {
    const canvas = element instanceof HTMLCanvasElement ? element : element.querySelector("canvas");
    const context = canvas?.getContext("2d");
    if (!canvas || !context || canvas.width === 0) return 0;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let hash = 0;
    for (let at = 0; at < data.length; at += 4) hash = (hash * 31 + (data[at] ?? 0)) | 0;
    return hash;
  });
}

/** Where a share of the picture (0 to 1) is on the page, in CSS pixels: inside its frame, whatever its letterbox. */
export async function placeOf(page: Page, x: number, y: number): Promise<{ x: number; y: number }> {
  return screenOf(page).evaluate(
    (element, at) => {
      const canvas = element instanceof HTMLCanvasElement ? element : element.querySelector("canvas");
      if (!canvas) throw new Error("there is no picture");
      const box = canvas.getBoundingClientRect();
      const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
      const [width, height] = [canvas.width * scale, canvas.height * scale];
      return {
        x: box.left + (box.width - width) / 2 + at.x * width,
        y: box.top + (box.height - height) / 2 + at.y * height,
      };
    },
    { x, y },
  );
}

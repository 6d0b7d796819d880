/**
 * Gives a test file a daemon of its own that has an owner, which most of them begin with.
 */
import { type Page, test } from "@playwright/test";
import { claim } from "./console.ts";
import { type Daemon, startDaemon } from "./daemon.ts";

/** Has a daemon claimed before the file's first test, and ended after its last; `settled` may wait for more in between. */
export function ownedDaemon(
  settled: (page: Page) => Promise<void> = () => Promise.resolve(),
): Pick<Daemon, "url" | "restart"> {
  let daemon: Daemon | undefined;
  const running = () => {
    if (daemon === undefined) throw new Error("the daemon runs while tests do");
    return daemon;
  };
  test.beforeAll(async ({ browser }) => {
    daemon = await startDaemon();
    const page = await browser.newPage();
    await claim(page, daemon.url, daemon.code);
    await settled(page);
    await page.close();
  });
  test.afterAll(() => daemon?.stop());
  return {
    get url() {
      return running().url;
    },
    restart: (meanwhile) => running().restart(meanwhile),
  };
}

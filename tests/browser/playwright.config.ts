/**
 * Drives Debian's own Chromium and Firefox at a running Farhand: Chromium through everything, Firefox through the story.
 *
 * No retries: a test that passes at the second try has found a fault. Each file starts a daemon of its own, so two files
 * run at a time; the tests in a file share its machine, and so do all that are sent to one elsewhere.
 */
import { defineConfig, type Project } from "@playwright/test";

/**
 * How long a condition may take to come true, in milliseconds. A virtual machine that emulates another processor on a busy
 * host needs patience; the simulated one does not.
 */
const PATIENCE = process.env["FARHAND_URL"] ? 60_000 : 15_000;

const CHROMIUM: Project = {
  name: "chromium",
  use: {
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      // Chromium's sandbox refuses to run as root; the rest keeps it from looking for servers of its own.
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
};

/** A machine is claimed once, so the image in a virtual machine is Chromium's alone. */
const FIREFOX: Project = {
  name: "firefox",
  testMatch: /story\.spec\.ts$/,
  use: {
    browserName: "firefox",
    // The channel chooses WebDriver BiDi, which every Firefox speaks; without it Playwright wants a Firefox of its own.
    channel: "moz-firefox",
    launchOptions: { executablePath: process.env["FIREFOX"] ?? "/usr/bin/firefox-esr" },
  },
};

export default defineConfig({
  testDir: ".",
  // What needs the image in a virtual machine lies in a folder of its own; every other spec runs without being named.
  testIgnore: process.env["FARHAND_URL"] ? [] : /tests\/browser\/image\//,
  // Emptied at each start, so that each of several runs at a time has its own.
  outputDir: process.env["FARHAND_RESULTS"] ?? "results",
  workers: process.env["FARHAND_URL"] ? 1 : 2,
  retries: 0,
  timeout: process.env["FARHAND_URL"] ? 300_000 : 60_000,
  expect: {
    timeout: PATIENCE,
    // By itself this would go on until the test is out of time, and say only that.
    toPass: { timeout: PATIENCE },
  },
  reporter: [["list"]],
  use: {
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 800 },
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
  },
  projects: [CHROMIUM, ...(process.env["FARHAND_URL"] ? [] : [FIREFOX])],
});

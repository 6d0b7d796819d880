/**
 * Starts a daemon of its own for a test file, with the simulated machine behind it, and tells where it answers.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** A running daemon. */
export interface Daemon {
  /** Where it answers, such as `https://127.0.0.1:40123`. */
  readonly url: string;
  /** What claims it, once. */
  readonly code: string;
  /** Where it keeps everything. */
  readonly folder: string;
  /** Kills it, lets `meanwhile` look, and starts it again on the same data and port. */
  restart(meanwhile: () => Promise<void>): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

const BINARY = process.env["FARHAND_BINARY"] ?? "../../target/debug/farhand";
const APPLIANCE = process.env["FARHAND_APPLIANCE"] ?? "../../target/debug/examples/appliance";

/** Reads the lines in which the daemon says what a person needs to know. */
async function announced(child: ChildProcess, names: readonly string[]): Promise<Map<string, string>> {
  const said = new Map<string, string>();
  if (!child.stdout) throw new Error("the daemon has no standard output");
  for await (const line of createInterface({ input: child.stdout })) {
    const [name, value] = line.split(": ", 2);
    if (name !== undefined && value !== undefined) said.set(name, value);
    if (names.every((name) => said.has(name))) {
      child.stdout.resume();
      return said;
    }
  }
  throw new Error(`the daemon ended before it said ${names.join(" and ")}`);
}

/** Starts a daemon on a free port, with the simulated machine unless told otherwise. */
export const startDaemon = (mode: readonly string[] = ["--board", "sim"]): Promise<Daemon> =>
  start(BINARY, (folder, address) => ["serve", ...mode, "--data", folder, "--https", address]);

/**
 * Starts one that believes itself on an appliance with two slots, where only the installer and the restart are played, and
 * which may fetch updates from `source`.
 */
export const startAppliance = (source?: string): Promise<Daemon> =>
  start(APPLIANCE, (folder, address) => [folder, address, ...(source === undefined ? [] : [source])]);

async function start(binary: string, arguments_: (folder: string, address: string) => string[]): Promise<Daemon> {
  const data = mkdtempSync(join(tmpdir(), "farhand-test-"));
  const launch = (port: string) =>
    spawn(binary, arguments_(data, `127.0.0.1:${port}`), { stdio: ["ignore", "pipe", "inherit"] });
  let child = launch("0");
  const said = await announced(child, ["address", "claim code"]);
  const url = said.get("address") ?? "";
  const ended = (process: ChildProcess) => new Promise<void>((resolve) => process.once("exit", () => resolve()));
  return {
    url,
    code: said.get("claim code") ?? "",
    folder: data,
    async restart(meanwhile) {
      const gone = ended(child);
      child.kill("SIGKILL");
      await gone;
      try {
        await meanwhile();
      } finally {
        // Also when that finds a fault: the tests behind it need a daemon.
        child = launch(new URL(url).port);
        await announced(child, ["address"]);
      }
    },
    async stop() {
      const gone = ended(child);
      child.kill("SIGTERM");
      await gone;
      rmSync(data, { recursive: true });
    },
  };
}

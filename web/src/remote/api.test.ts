/** What is asked for says when, wherever it must not be done late. */
import { afterEach, expect, test, vi } from "vitest";

import { api, daemonNow, hearClock } from "./api";

afterEach(() => vi.unstubAllGlobals());

/** Does this, and gives what was sent. */
async function sent(ask: () => Promise<unknown>): Promise<Record<string, unknown>> {
  const bodies: string[] = [];
  vi.stubGlobal("fetch", (_path: string, init: RequestInit) => {
    bodies.push(init.body as string);
    return Promise.resolve(Response.json({}));
  });
  await ask();
  return JSON.parse(bodies[0] ?? "") as Record<string, unknown>;
}

test("what wakes, restarts, resets or updates says when it was asked for", async () => {
  const asks = [
    () => api.wake("main"),
    () => api.restart(),
    () => api.factoryReset("pi"),
    () => api.fetchUpdate(),
  ];
  // There is no time to give before anything is known of the daemon's clock.
  for (const ask of asks) expect(await sent(ask)).not.toHaveProperty("at");
  hearClock(81_234_567);
  for (const ask of asks) {
    const { at } = await sent(ask);
    expect(at).toBeGreaterThanOrEqual(81_234_567);
    expect(at).toBeLessThanOrEqual(daemonNow() ?? 0);
  }
});

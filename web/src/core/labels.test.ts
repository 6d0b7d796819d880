import { expect, test } from "vitest";
import {
  agoLabel,
  asOfLabel,
  healthFaults,
  heatLabel,
  otherSlotLabel,
  othersLabel,
  phaseLabel,
  powerLabel,
  sentence,
  signalDetail,
  signalLabel,
  snapshotName,
  startedLabel,
  supplyLabel,
  usbLabel,
} from "./labels";
import type { Health, Status, System } from "./protocol";

test("a state this page does not know is shown as it is", () => {
  expect(signalLabel("no-signal").text).toBe("No signal");
  expect(signalLabel("moonlight")).toEqual({ text: "moonlight", tone: "waiting" });
});

test("what is known of the signal stands in lines of its own, and what is not leaves none", () => {
  const device = "MacroSilicon MS2109";
  const choice = "1280x720 MJPG at 60";
  expect(signalDetail({ device, choice, reason: "no lock" })).toBe(`${device}\n${choice}\nno lock`);
  expect(signalDetail({ device: "", choice, reason: null })).toBe(choice);
});

test("the kernel's words for USB become ours", () => {
  const label = (state: string, power: Status["power"] = "on", asleep = false) =>
    usbLabel({ udc: { name: "fe980000.usb", state }, asleep, power }).text;
  expect(label("configured")).toBe("Keyboard connected");
  expect(label("not attached")).toBe("USB not plugged in");
  expect(label("default")).toBe("USB connecting");
  expect(usbLabel({ udc: null, asleep: false, power: "on" }).tone).toBe("bad");
  // All that the controller knows is that nothing asks for keys.
  expect(label("suspended")).toBe("Target asleep or unplugged");
  expect(label("suspended", "off")).toBe("USB: target off");
  expect(label("suspended", "unknown")).toBe("Target asleep, off or unplugged");
  expect(label("configured", "on", true)).toBe("Target asleep or unplugged");
  expect(label("configured", "off", true)).toBe("USB: target off");
});

test("power that nobody measures is not called off", () => {
  expect(powerLabel("unknown").text).toBe("Power unknown");
});

test("others are those who are not me", () => {
  const viewers = [
    { id: 3, user: "anna", typing: true },
    { id: 4, user: "anna", typing: false },
    { id: 5, user: "ben", typing: true },
  ];
  expect(othersLabel(viewers, 3)).toBe("anna, ben is typing");
  expect(othersLabel(viewers.slice(0, 1), 3)).toBeNull();
});

test("saved pictures sort by time", () => {
  expect(snapshotName("main", new Date("2026-11-22T09:08:07.6Z"))).toBe(
    "main-2026-11-22-090807.jpg",
  );
});

test("an update counts while there is something to count", () => {
  const label = (phase: "receiving" | "fetching" | "checking" | "installing" | "ready") =>
    phaseLabel({ phase, percent: 42, message: "" });
  expect(label("receiving")).toContain("42 %");
  expect(label("fetching")).toContain("42 %");
  expect(label("checking")).not.toContain("42");
  expect(label("installing")).toContain("42 %");
  expect(label("ready")).not.toContain("42");
});

test("a start is told with its detail, and one that this page does not know as it is", () => {
  expect(startedLabel(null)).toBe("Not known");
  expect(startedLabel({ why: "power", detail: "" })).toBe("The power came on");
  expect(startedLabel({ why: "panic", detail: "BUG" })).toBe("Its kernel failed (BUG)");
  expect(startedLabel({ why: "moonlight", detail: "" })).toBe("moonlight");
});

test("a board that says nothing of itself is not called well", () => {
  const mute: Health = { low_voltage: null, celsius: null, slowed: null, card: null };
  expect([supplyLabel(mute), heatLabel(mute)]).toEqual([null, null]);
  expect([...healthFaults(mute), ...healthFaults(null)]).toEqual([]);
});

test("what is wrong with the board is told with what helps, and what was wrong stays told", () => {
  const calm = { now: false, ever: false };
  const good: Health = { low_voltage: calm, celsius: 48, slowed: calm, card: "good" };
  expect([supplyLabel(good), heatLabel(good), healthFaults(good)]).toEqual(["Good", "48 °C", []]);

  const low = (now: boolean): Health => ({ ...good, low_voltage: { now, ever: true } });
  expect(healthFaults(low(true))).toEqual([expect.stringMatching(/voltage is too low: .*cable/)]);
  expect(healthFaults(low(false))).toEqual([expect.stringMatching(/voltage was too low/)]);
  expect(supplyLabel(low(false))).toContain("too low at times");

  for (const hot of [{ celsius: 80 }, { slowed: { now: true, ever: true } }]) {
    expect(healthFaults({ ...good, ...hot })).toEqual([expect.stringContaining("too hot")]);
  }
  const cooled = { ...good, slowed: { now: false, ever: true } };
  expect([heatLabel(cooled), healthFaults(cooled)]).toEqual([
    "48 °C; slowed down at times since the start",
    [],
  ]);

  expect(healthFaults({ ...low(true), card: "failing" })[0]).toContain("card is failing");
});

test("the slot beside the running one is told as far as it is known", () => {
  const slot = { version: null, installed: null, tries_left: 3 };
  const b = { version: "0.2.0", installed: "2026-11-22T14:00:00Z", tries_left: 3 };
  const system = (slot: System["slot"], slots: System["slots"]) =>
    ({ slot, slots }) as unknown as System;
  expect(otherSlotLabel(system("A", { A: slot, B: b }))).toBe(
    "0.2.0 in slot B, installed 2026-11-22",
  );
  expect(otherSlotLabel(system("B", { A: slot, B: b }))).toBe("Slot A, as the card was written");
  expect(otherSlotLabel(system(null, null))).toBeNull();
});

test("a moment of today is told by its hour, and one of another day by its day too", () => {
  const now = new Date(2026, 10, 27, 14, 30);
  const hour = new Date(2026, 10, 27, 12, 3);
  expect(asOfLabel(hour, now)).toMatch(/^As of 12:03/);
  expect(asOfLabel(new Date(2026, 10, 26, 12, 3), now)).toMatch(/26.*12:03/);
});

test("words of the daemon become sentences, and sentences stay as they are", () => {
  expect(sentence("the target takes no keys")).toBe("The target takes no keys.");
  expect(sentence("Cancelled.")).toBe("Cancelled.");
});

test("how long ago it was is told in the largest unit that says enough", () => {
  const minute = 60_000;
  const told: [number, string][] = [
    [-5, "0 s ago"],
    [59_999, "59 s ago"],
    [minute, "1 min ago"],
    [60 * minute - 1, "59 min ago"],
    [119 * minute, "1 h ago"],
    [47 * 60 * minute, "47 h ago"],
    [48 * 60 * minute, "2 days ago"],
  ];
  for (const [ms, label] of told) expect(agoLabel(ms)).toBe(label);
});

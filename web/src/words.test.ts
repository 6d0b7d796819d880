import { expect, test } from "vitest";
import { othersWord, powerWord, signalWord, snapshotName, usbWord } from "./words";

test("a state this page does not know is shown as it is", () => {
  expect(signalWord("no-signal").text).toBe("No signal");
  expect(signalWord("moonlight")).toEqual({ text: "moonlight", tone: "waiting" });
});

test("the kernel's words for USB become ours", () => {
  const word = (state: string) => usbWord({ name: "fe980000.usb", state }).text;
  expect(word("configured")).toBe("Keyboard connected");
  expect(word("not attached")).toBe("USB not plugged in");
  expect(word("default")).toBe("USB connecting");
  expect(usbWord(null).tone).toBe("bad");
});

test("power that nobody measures is not called off", () => {
  expect(powerWord("unknown").text).toBe("Power unknown");
});

test("others are those who are not me", () => {
  const viewers = [
    { id: 3, user: "anna", typing: true },
    { id: 4, user: "anna", typing: false },
    { id: 5, user: "ben", typing: true },
  ];
  expect(othersWord(viewers, 3)).toBe("anna, ben is typing");
  expect(othersWord(viewers.slice(0, 1), 3)).toBeNull();
});

test("saved pictures sort by time", () => {
  expect(snapshotName("main", new Date("2026-11-22T09:08:07.6Z"))).toBe(
    "main-2026-11-22-090807.jpg",
  );
});

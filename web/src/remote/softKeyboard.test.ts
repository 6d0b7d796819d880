import { describe, expect, test } from "vitest";
import recorded from "../../../tests/data/events/soft-keyboard.json";
import { FILLING } from "../core/softText";
import { keyEvent } from "../testing/keyEvent";
import { attachSoftKeyboard } from "./softKeyboard";

/** A field without a browser: what it holds is set as a soft keyboard sets it. */
function field() {
  const element = Object.assign(new EventTarget(), {
    value: "",
    setSelectionRange: () => undefined,
  });
  const frames: string[] = [];
  let left = 0;
  attachSoftKeyboard(element as unknown as HTMLTextAreaElement, {
    text: (text) => frames.push(`text ${text}`),
    chord: ({ codes, times, isRepeat }) =>
      frames.push(
        codes.join("+") + (times === undefined ? "" : ` × ${times}`) + (isRepeat ? " again" : ""),
      ),
    leave: () => (left += 1),
  });
  element.dispatchEvent(new Event("focus"));
  const fire = (type: string, fields: object = {}) => {
    const event = keyEvent(type, { timeStamp: 0, ...fields });
    element.dispatchEvent(event);
    return event;
  };
  return { element, frames, fire, timesLeft: () => left };
}

type Recorded = { type: string; value?: string; eaten?: number };

describe("as browsers send it", () => {
  test.each(recorded)("$name", ({ events, frames: expected }) => {
    const { element, fire, frames } = field();
    for (const { value, eaten = 0, ...event } of events as readonly Recorded[]) {
      if (value !== undefined) element.value = FILLING.slice(eaten) + value;
      fire(event.type, event);
    }
    expect(frames).toEqual(expected);
  });
});

test("the field is filled again before it is empty, and when it is full, but not under a composition", () => {
  const { element, fire } = field();
  element.value = FILLING.slice(60);
  fire("input", { isComposing: true });
  expect(element.value).toBe(FILLING.slice(60));
  fire("input");
  expect(element.value).toBe(FILLING);
  element.value = FILLING + "a".repeat(300);
  fire("input");
  expect(element.value).toBe(FILLING);
});

test("keys that change no text do not leave the field, and those that do are the browser's", () => {
  const { fire } = field();
  expect(fire("keydown", { code: "Tab", key: "Tab" }).defaultPrevented).toBe(true);
  expect(fire("keydown", { code: "KeyA", key: "a" }).defaultPrevented).toBe(false);
  const altGr = { code: "KeyQ", key: "@", ctrlKey: true, altKey: true, modifiers: ["AltGraph"] };
  expect(fire("keydown", altGr).defaultPrevented).toBe(false);
  expect(fire("keydown", { code: "KeyA", key: "あ", isComposing: true }).defaultPrevented).toBe(
    false,
  );
});

test("who came into the field by a keyboard can leave it by one", () => {
  const { fire, timesLeft, frames } = field();
  for (const code of ["ControlLeft", "AltLeft", "ShiftLeft"]) fire("keydown", { code });
  for (const code of ["ControlLeft", "AltLeft", "ShiftLeft"]) fire("keyup", { code });
  expect(timesLeft()).toBe(1);
  expect(frames).toEqual([]);
});

test("a Backspace that is held is told from one that is tapped, and from a word that is replaced", () => {
  const { element, fire, frames } = field();
  let eaten = 0;
  const remove = (timeStamp: number) => {
    element.value = FILLING.slice(++eaten);
    fire("input", { timeStamp });
  };
  for (const timeStamp of [1000, 1050, 1100]) remove(timeStamp);
  for (const timeStamp of [2000, 2120]) remove(timeStamp);
  for (const timeStamp of [3000, 3001]) remove(timeStamp);
  expect(frames.map((frame) => frame.endsWith("again"))).toEqual([
    false,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

test("a real keyboard says itself which key is held", () => {
  const { element, fire, frames } = field();
  const backspace = { code: "Backspace", key: "Backspace" };
  for (const [at, repeat] of [false, true, false].entries()) {
    fire("keydown", { ...backspace, repeat });
    element.value = FILLING.slice(at + 1);
    fire("input", { timeStamp: 1000 * at });
    fire("keydown", { code: "ArrowLeft", key: "ArrowLeft", repeat });
  }
  expect(frames).toEqual([
    "Backspace × 1",
    "ArrowLeft",
    "Backspace × 1 again",
    "ArrowLeft again",
    "Backspace × 1",
    "ArrowLeft",
  ]);
});

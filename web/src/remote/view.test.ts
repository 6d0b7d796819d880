import { expect, test } from "vitest";
import { startViewing } from "./view";

/** An element without a browser, of a size that may change. */
function element() {
  const style = new Map<string, string>();
  const box = { left: 0, top: 0, width: 400, height: 400 };
  const target = {
    dataset: {} as Record<string, string>,
    style: { setProperty: (name: string, value: string) => style.set(name, value) },
    getBoundingClientRect: () => box,
  };
  const viewing = startViewing(
    () => target as unknown as HTMLElement,
    () => ({ width: 800, height: 400 }),
  );
  return { ...viewing, target, style, box };
}

test("an enlarged picture is drawn by the element's properties", () => {
  const { show, target, style } = element();
  show({ scale: 2, x: -100, y: -200 });
  expect(target.dataset["enlarged"]).toBe("true");
  expect(Object.fromEntries(style)).toEqual({
    "--zoom": "2",
    "--pan-x": "-100px",
    "--pan-y": "-200px",
  });
  show({ scale: 1, x: 0, y: 0 });
  expect(target.dataset["enlarged"]).toBe("false");
});

test("a phone that is turned shows no emptiness where the picture could be", () => {
  const { show, refit, view, box } = element();
  show({ scale: 2, x: -30, y: -200 });
  box.width = 800;
  box.height = 300;
  refit();
  // The whole would begin 100 from the left now, so twice as large its edge is drawn at -200 + 200.
  expect(view()).toEqual({ scale: 2, x: -200, y: -200 });
});

test("what is not enlarged is left alone", () => {
  const { refit, style, view } = element();
  refit();
  expect(style.size).toBe(0);
  expect(view()).toEqual({ scale: 1, x: 0, y: 0 });
});

import { afterEach, expect, test, vi } from "vitest";
import { fitVisibleRoom } from "./visibleRoom";

afterEach(() => void vi.unstubAllGlobals());

/** A phone whose keyboard leaves so much of the page to be seen. */
function phone() {
  const seen = Object.assign(new EventTarget(), { scale: 1, height: 844 });
  const style = new Map<string, string>();
  const root = {
    style: {
      setProperty: (name: string, value: string) => style.set(name, value),
      removeProperty: (name: string) => style.delete(name),
    },
  };
  vi.stubGlobal("visualViewport", seen);
  vi.stubGlobal("scrollTo", () => undefined);
  const undo = fitVisibleRoom(root as unknown as HTMLElement);
  const resize = (height: number, scale = 1) => {
    Object.assign(seen, { height, scale });
    seen.dispatchEvent(new Event("resize"));
    return style.get("--visible-height");
  };
  return { resize, undo, style };
}

test("the page is as high as the phone's keyboard lets it be seen", () => {
  const { resize, undo, style } = phone();
  expect(resize(500)).toBe("500px");
  expect(resize(844)).toBe("844px");
  undo();
  expect(style.size).toBe(0);
  expect(resize(500)).toBeUndefined();
});

test("a page that is enlarged by a pinch is no smaller for it", () => {
  expect(phone().resize(400, 2)).toBeUndefined();
});

test("without a visual viewport there is nothing to do", () => {
  vi.stubGlobal("visualViewport", null);
  expect(() => fitVisibleRoom({} as HTMLElement)()).not.toThrow();
});

import { expect, test } from "vitest";
import { sent } from "./compress";
import { FIRST_LIMIT, tooHeavy, weigh, type File } from "./weight";

const text = (word: string) => `${word} and again `.repeat(500);
const file = (name: string, more: Partial<File> = {}): File => ({
  name,
  content: text(name),
  ...more,
});
const sizes = (...names: string[]) =>
  names.reduce((bytes, name) => bytes + sent(name, text(name)), 0);

test("the first load is the page, its script and all that comes with it", () => {
  const files = [
    file("index.html"),
    file("favicon.svg"),
    file("main.js", { isEntry: true, brings: ["shared.js", "main.css"] }),
    file("shared.js", { brings: ["main.js"] }),
    file("main.css"),
  ];
  const { first, later } = weigh(files);
  expect(first).toBe(sizes("index.html", "favicon.svg", "main.js", "shared.js", "main.css"));
  expect([...later]).toEqual([]);
});

test("a part that is loaded later counts for itself, without what is there already", () => {
  const files = [
    file("index.html"),
    file("main.js", { isEntry: true, brings: ["shared.js"], later: ["editor.js", "shared.js"] }),
    file("shared.js", { part: "shared" }),
    file("editor.js", { part: "editor", brings: ["shared.js", "editor.css"] }),
    file("editor.css"),
  ];
  const { first, later } = weigh(files);
  expect(first).toBe(sizes("index.html", "main.js", "shared.js"));
  expect([...later]).toEqual([["editor", sizes("editor.js", "editor.css")]]);
});

test("the limit itself is allowed, a byte more is not", () => {
  const none = new Map<string, number>();
  expect(tooHeavy({ first: FIRST_LIMIT, later: none })).toEqual([]);
  expect(tooHeavy({ first: FIRST_LIMIT + 1, later: none })).toEqual([
    expect.stringContaining(String(FIRST_LIMIT + 1)),
  ]);
});

test("each later part has a limit of its own, and none goes without", () => {
  const later = new Map([["editor", 1000]]);
  expect(tooHeavy({ first: 0, later }, { editor: 1000 })).toEqual([]);
  expect(tooHeavy({ first: 0, later }, { editor: 999 })).toHaveLength(1);
  expect(tooHeavy({ first: 0, later }, {})).toEqual([expect.stringMatching(/editor.*no limit/)]);
});

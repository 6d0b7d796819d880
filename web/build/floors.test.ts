import { expect, test } from "vitest";
import { offences } from "./floors";

const SOURCES = import.meta.glob<string>("../src/**/*.{ts,tsx}", {
  eager: true,
  import: "default",
  query: "?raw",
});

test("every file of the page keeps to its floor", () => {
  const sources = Object.entries(SOURCES).map(([path, text]) => ({
    path: path.replace("../src/", ""),
    text,
  }));
  expect(sources.length).toBeGreaterThan(30);
  expect(offences(sources)).toEqual([]);
});

const check = (path: string, text: string) => offences([{ path, text }]);

test("down and level is allowed, from any depth, and so is everything for the root", () => {
  expect(check("views/console/power.tsx", 'import { Panel } from "../../ui/panel";')).toEqual([]);
  expect(check("views/console/power.tsx", 'import "./power.css";')).toEqual([]);
  expect(check("remote/socket.ts", 'import { backoff } from "../core/backoff";')).toEqual([]);
  expect(check("main.tsx", 'import { App } from "./views/app";')).toEqual([]);
});

test("up is an offence, however it is written", () => {
  const up = [
    'import { seat } from "../state/seat";',
    'import type { Seat } from "../state/seat";',
    'export { openSeat } from "../state/seat";',
    'const later = () => import("../state/seat");',
  ];
  for (const text of up) {
    expect(check("core/frame.ts", `\n${text}`)).toEqual([
      "src/core/frame.ts:2: core imports state, which is above it",
    ]);
  }
});

test("a style sheet of another floor is an import too, and nobody imports the root", () => {
  expect(check("ui/panel.tsx", 'import "../views/console/console.css";')).toHaveLength(1);
  expect(check("views/app.tsx", 'import "../main";')).toHaveLength(1);
});

test("what hot paths and state are made of does not know who draws", () => {
  const signals = 'import { signal } from "@preact/signals";';
  expect(check("state/theme.ts", signals)).toEqual([]);
  expect(check("remote/pointer.ts", signals)).toEqual([
    "src/remote/pointer.ts:1: remote imports the package @preact/signals",
  ]);
  expect(check("state/theme.ts", 'import { render } from "preact";')).toHaveLength(1);
});

test("fakes are for tests alone", () => {
  const fake = 'import { FakeSocket } from "../testing/fakeSocket";';
  expect(check("remote/socket.test.ts", `${fake}\nimport { test } from "vitest";`)).toEqual([]);
  expect(check("remote/socket.ts", fake)).toHaveLength(1);
});

test("a folder without a floor is told", () => {
  expect(check("helpers/all.ts", "")).toEqual(["src/helpers/all.ts:1: helpers is no floor"]);
});

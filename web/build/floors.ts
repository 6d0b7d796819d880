/**
 * Holds the page's sources to their floors: a file imports its own floor and those below, none above.
 *
 * What is below can be read, tested and used without what is above: core needs no browser, remote
 * no framework, state nothing that draws, and ui nothing of this product.
 */
import ts from "typescript";

/** From the ground up, each with the packages that it may name. */
const FLOORS: ReadonlyMap<string, readonly string[]> = new Map([
  ["core", []],
  ["remote", []],
  ["state", ["@preact/signals"]],
  ["ui", ["@preact/signals", "preact", "preact/hooks"]],
  ["views", ["@preact/signals", "preact", "preact/hooks"]],
]);
const ORDER = [...FLOORS.keys()];

/** What tests share: it may know all that can be known without drawing, and only tests know it. */
const TESTING = "testing";

/** Where recordings lie that tests replay, next to the sources of the whole product. */
const RECORDINGS = "tests";

/** A file below `src`, named from there. */
export type Source = { path: string; text: string };

/** Every import that leads up or out, as `file:line: what is wrong`. */
export function offences(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) => {
    const isTest = path.includes(".test.");
    const floor = floorOf(path);
    // What stands in the root joins everything, and nobody imports it.
    if (floor === "") return [];
    if (!FLOORS.has(floor) && floor !== TESTING) return [`src/${path}:1: ${floor} is no floor`];
    return ts.preProcessFile(text).importedFiles.flatMap(({ fileName, pos }) => {
      const why = fileName.startsWith(".")
        ? wrongFile(floor, floorOf(resolve(path, fileName)), isTest)
        : wrongPackage(floor, fileName, isTest);
      const line = text.slice(0, pos).split("\n").length;
      return why === null ? [] : [`src/${path}:${line}: ${why}`];
    });
  });
}

function wrongFile(from: string, to: string, isTest: boolean): string | null {
  if (to === RECORDINGS && isTest) return null;
  if (to === TESTING) return isTest || from === TESTING ? null : `${from} imports ${to}`;
  const highest = from === TESTING ? ORDER.indexOf("state") : ORDER.indexOf(from);
  const height = ORDER.indexOf(to);
  if (height === -1) return `${from} imports ${to || "the root"}`;
  return height <= highest ? null : `${from} imports ${to}, which is above it`;
}

function wrongPackage(floor: string, name: string, isTest: boolean): string | null {
  if (isTest && name === "vitest") return null;
  return FLOORS.get(floor)?.includes(name) ? null : `${floor} imports the package ${name}`;
}

/** The first folder of a path; empty for a file of the root. */
const floorOf = (path: string): string => path.split("/").slice(0, -1)[0] ?? "";

/** What a relative import of a file names. */
function resolve(from: string, to: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of to.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

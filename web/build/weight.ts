/**
 * Keeps the page light: a build whose first load, or a part that is loaded later, is over its limit
 * fails.
 *
 * The page comes from a small device over networks that are chosen by somebody else's emergency.
 * What is counted is what travels, and it is counted before anything is written, so that a build
 * that fails leaves nothing that looks built.
 */
import type { Plugin, Rollup } from "vite";
import { sent } from "./compress";

/** Bytes that travel until the page can be used. */
export const FIRST_LIMIT = 35_000;
/** Bytes of each part that is loaded once somebody opens it, by the name of its module. */
export const LATER_LIMITS: Readonly<Record<string, number>> = { system: 6_000 };

export type File = {
  name: string;
  content: string | Uint8Array;
  isEntry?: boolean;
  /** What its module is called, for one that can be loaded later. */
  part?: string;
  /** Files that are loaded with it. */
  brings?: readonly string[];
  /** Files that it loads later. */
  later?: readonly string[];
};

export type Weights = { first: number; later: ReadonlyMap<string, number> };

/** Counts the first load and, for each part that is loaded later, what it adds to that. */
export function weigh(files: readonly File[]): Weights {
  const known = new Map(files.map((file) => [file.name, file]));
  const gather = (names: readonly string[], into: Set<string>): Set<string> => {
    for (const name of names) {
      if (into.has(name)) continue;
      into.add(name);
      gather(known.get(name)?.brings ?? [], into);
    }
    return into;
  };
  const sum = (names: readonly string[]) =>
    names.reduce((bytes, name) => bytes + sent(name, known.get(name)?.content ?? ""), 0);

  const entries = files.filter(({ isEntry }) => isEntry === true).map(({ name }) => name);
  const first = gather(entries, new Set());
  const roots = [...new Set(files.flatMap(({ later }) => later ?? []))];
  const later = new Map<string, number>();
  const late = new Set<string>();
  for (const root of roots.filter((name) => !first.has(name))) {
    const added = [...gather([root], new Set())].filter((name) => !first.has(name));
    for (const name of added) late.add(name);
    later.set(known.get(root)?.part ?? root, sum(added));
  }
  // What no script names, such as the page itself, is loaded at once.
  const rest = files.map(({ name }) => name).filter((name) => !late.has(name));
  return { first: sum(rest), later };
}

/** What is wrong with a page of these weights. */
export function tooHeavy({ first, later }: Weights, limits = LATER_LIMITS): string[] {
  const faults: string[] = [];
  const check = (what: string, bytes: number, limit: number) => {
    if (limit < bytes) faults.push(`${what} is ${bytes} bytes, and may be ${limit}`);
  };
  check("the first load", first, FIRST_LIMIT);
  for (const [part, bytes] of later) {
    const limit = limits[part];
    if (limit === undefined) faults.push(`${part} is loaded later and has no limit: give it one`);
    else check(part, bytes, limit);
  }
  return faults;
}

const describe = (output: Rollup.OutputAsset | Rollup.OutputChunk): File => {
  if (output.type === "asset") return { name: output.fileName, content: output.source };
  const { importedCss = [], importedAssets = [] } = output.viteMetadata ?? {};
  return {
    name: output.fileName,
    content: output.code,
    isEntry: output.isEntry,
    part: output.name,
    brings: [...output.imports, ...importedCss, ...importedAssets],
    later: output.dynamicImports,
  };
};

export function limitWeight(): Plugin {
  return {
    name: "weight",
    apply: "build",
    generateBundle: {
      // After those who still add a style or the page itself.
      order: "post",
      handler(_, bundle) {
        const weights = weigh(Object.values(bundle).map(describe));
        const faults = tooHeavy(weights);
        if (0 < faults.length) this.error(faults.join("; "));
        this.info(`the first load is ${weights.first} bytes of ${FIRST_LIMIT}`);
        for (const [part, bytes] of weights.later) this.info(`${part} adds ${bytes} bytes`);
      },
    },
  };
}

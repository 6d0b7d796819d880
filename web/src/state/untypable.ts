/**
 * Asks the daemon which characters of a text no key types, before any of it is typed.
 *
 * Half a command with the rest missing is worse than none, so a text that is typed in several requests
 * is checked as a whole first.
 */
import { chunks } from "../core/chunks";
import type { Untypable } from "../core/typing";
import { api, asRefusal } from "../remote/api";

/** The daemon takes as many characters in one request. */
const LONGEST_CHECK = 1024;

/** What no key types, or why that could not be asked. */
export type Findings = { untypable: readonly Untypable[]; problem: string | null };

export async function findUntypable(seat: string, text: string): Promise<Findings> {
  const found = new Map<string, Untypable>();
  let unnamed: string | null = null;
  for (const part of chunks(text, LONGEST_CHECK)) {
    try {
      await api.check(seat, part);
    } catch (cause) {
      const { code, message, detail } = asRefusal(cause);
      // A daemon that is older than this page knows no check; it refuses as it types.
      if (code === "malformed") return { untypable: [], problem: null };
      if (code !== "cannot-type") return { untypable: [], problem: message };
      const named = untypableIn(detail);
      for (const each of named) found.set(each.character, each);
      if (named.length === 0) unnamed ??= message;
    }
  }
  return { untypable: [...found.values()], problem: unnamed };
}

function untypableIn(detail: unknown): Untypable[] {
  if (!Array.isArray(detail)) return [];
  return detail.flatMap((each: Partial<Untypable> | null) =>
    typeof each?.character === "string"
      ? [{ character: each.character, name: typeof each.name === "string" ? each.name : "" }]
      : [],
  );
}

/**
 * Asks the daemon which characters of a text no key types, before any of it is typed.
 *
 * Half a command with the rest missing is worse than none, so a text that is typed in several requests
 * is checked as a whole first.
 */
import type { Untypable } from "../core/typing";
import { api, asRefusal } from "../remote/api";

/** What no key types, or why that could not be asked. */
export type Findings = { untypable: readonly Untypable[]; problem: string | null };

export async function findUntypable(
  seat: string,
  text: string,
  signal?: AbortSignal,
): Promise<Findings> {
  try {
    await api.check(seat, text, signal);
    return { untypable: [], problem: null };
  } catch (cause) {
    const { code, message, detail } = asRefusal(cause);
    const untypable = code === "cannot-type" ? untypableIn(detail) : [];
    return { untypable, problem: untypable.length === 0 ? message : null };
  }
}

function untypableIn(detail: unknown): Untypable[] {
  if (!Array.isArray(detail)) return [];
  return detail.flatMap((each: { character?: unknown; name?: unknown } | null) =>
    typeof each?.character === "string"
      ? [{ character: each.character, name: typeof each.name === "string" ? each.name : "" }]
      : [],
  );
}

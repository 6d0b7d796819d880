/**
 * Knows how a text is typed: how long it takes, and where it has characters that no key types.
 */

/** Until it has been measured: a key goes down and up in two of the target's polls. */
const CHARACTERS_PER_SECOND = 42;

/** How many characters there are, as the daemon counts them: by character and not by UTF-16 unit. */
export const lengthOf = (text: string): number => [...text].length;

/** How long the rest takes, for people, by how long the beginning took. */
export function timeLeft(typed: number, total: number, elapsedMs: number): string {
  const rate = 0 < typed && 0 < elapsedMs ? (typed * 1000) / elapsedMs : CHARACTERS_PER_SECOND;
  const seconds = Math.max(1, Math.round((total - typed) / rate));
  return seconds < 100 ? `about ${seconds} s` : `about ${Math.round(seconds / 60)} min`;
}

/** A character that no key types, with what it is called. */
export type Untypable = { character: string; name: string };

export type Piece = { text: string; isRefused: boolean };

/** Parts a text where what is refused begins and ends. */
export function pieces(text: string, refused: readonly Untypable[]): Piece[] {
  const characters = new Set(refused.map(({ character }) => character));
  const parted: Piece[] = [];
  for (const character of text) {
    const isRefused = characters.has(character);
    const last = parted.at(-1);
    if (last?.isRefused === isRefused) last.text += character;
    else parted.push({ text: character, isRefused });
  }
  return parted;
}

/** Each refused character with its name and the lines it stands in. */
export function describe(text: string, refused: readonly Untypable[]): string[] {
  const lines = text.split("\n");
  const inOneLine = lines.length === 1;
  return refused.map(({ character, name }) => {
    const called = name === "" ? `“${character}”` : `“${character}” (${name})`;
    const at = lines.flatMap((line, index) => (line.includes(character) ? [index + 1] : []));
    const [first, second] = at;
    if (inOneLine || first === undefined) return called;
    return second === undefined
      ? `${called} in line ${first}`
      : `${called} in lines ${at.join(", ")}`;
  });
}

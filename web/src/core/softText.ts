/**
 * Tells from the text in a field what a soft keyboard typed there.
 *
 * Phones say nothing of keys: they put letters into a field, take words back for better ones and turn
 * two spaces into a full stop. Only the text itself is to be trusted, so what changed in it is typed.
 */

/** Keeps a field from being empty: in one that is, Backspace does nothing and nobody hears of it. */
export const FILLING = "\u200b".repeat(64);
/** Less than this is not left for long by somebody who holds Backspace. */
const SCARCE = 8;
const PLENTY = 256;

export type Change = { removed: number; added: string };

/** How one text became the other, by keys at its end. */
export function difference(before: string, after: string): Change {
  const [old, young] = [[...before], [...after]];
  let same = 0;
  while (same < old.length && same < young.length && old[same] === young[same]) same += 1;
  return { removed: old.length - same, added: young.slice(same).join("") };
}

/** Whether a field is better filled again before more is typed. */
export function needsFilling(value: string): boolean {
  const left = [...value].filter((character) => character === FILLING[0]).length;
  return left < SCARCE || PLENTY < value.length || value.includes("\n");
}

/** What phones make of plain signs, and what was meant: no key types a curly quote. */
const MEANT: Readonly<Record<string, string>> = {
  "\u00a0": " ",
  "\u2018": "'",
  "\u2019": "'",
  "\u201c": '"',
  "\u201d": '"',
  "\u2013": "-",
  "\u2014": "--",
  "\u2026": "...",
  "\u200b": "",
};

export const plain = (text: string): string =>
  text.replace(
    /[\u00a0\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u200b]/g,
    (sign) => MEANT[sign] ?? sign,
  );

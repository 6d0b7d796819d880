/**
 * Replaces what word processors and web pages make of plain characters by those.
 *
 * A command that was copied from a page has other quotes, dashes and spaces than the one that was
 * meant, and a keyboard has keys for the plain ones alone.
 */

/** Each plain text, and what stands for it elsewhere. */
const PLAIN: readonly (readonly [string, RegExp])[] = [
  ["'", /[\u2018-\u201b\u2032\u2039\u203a\u00b4]/g],
  ['"', /[\u201c-\u201f\u2033\u00ab\u00bb]/g],
  ["-", /[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]/g],
  ["...", /\u2026/g],
  [" ", /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g],
  ["\n", /[\u0085\u2028\u2029]/g],
  // Of no width: soft hyphens, joiners, marks of direction and of byte order.
  ["", /[\u00ad\u200b-\u200f\u2060\ufeff]/g],
];

export const plain = (text: string): string =>
  PLAIN.reduce((now, [replacement, fancy]) => now.replace(fancy, replacement), text);

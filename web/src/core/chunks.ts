/**
 * Cuts a text into pieces that the daemon takes one at a time.
 *
 * Pieces are what makes progress visible and cancelling prompt: the daemon answers when a piece has
 * been typed, and types what it has been given to the end.
 */

/** About a second of typing; the daemon would take up to 1024 characters. */
export const PIECE_CHARACTERS = 64;

export function pieces(text: string, length = PIECE_CHARACTERS): string[] {
  // Spreading goes by character, not by UTF-16 unit, so that an error names a whole character.
  const characters = [...text.replace(/\r\n?/g, "\n")];
  const cut: string[] = [];
  for (let start = 0; start < characters.length; start += length) {
    cut.push(characters.slice(start, start + length).join(""));
  }
  return cut;
}

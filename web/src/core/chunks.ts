/**
 * Cuts a text into chunks that the daemon takes one at a time.
 *
 * Chunks are what makes progress visible and cancelling prompt: the daemon answers when a chunk has
 * been typed, and types what it has been given to the end.
 */

/** About a second of typing; the daemon would take up to 1024 characters. */
export const CHUNK_CHARACTERS = 64;

export function chunks(text: string, length = CHUNK_CHARACTERS): string[] {
  // Spreading goes by character, not by UTF-16 unit, so that an error names a whole character.
  const characters = [...text.replace(/\r\n?/g, "\n")];
  const cut: string[] = [];
  for (let start = 0; start < characters.length; start += length) {
    cut.push(characters.slice(start, start + length).join(""));
  }
  return cut;
}

/**
 * Takes a binary frame apart into its number, its size and its JPEG.
 *
 * The layout is docs/api.md's. A frame that is too short to be one is refused here, so that nobody
 * behind has to check again.
 */

export const HEADER_BYTES = 16;

export type Frame = {
  seq: number;
  /** How old it was when it was sent; the longest that fits is 71 minutes, and stands for all above. */
  ageMs: number;
  width: number;
  height: number;
  jpeg: Uint8Array<ArrayBuffer>;
};

export function parseFrame(data: ArrayBuffer): Frame | null {
  if (data.byteLength <= HEADER_BYTES) return null;
  const view = new DataView(data);
  return {
    // Sixty pictures a second reach the end of exact numbers after four million years.
    seq: Number(view.getBigUint64(0)),
    ageMs: view.getUint32(8) / 1000,
    width: view.getUint16(12),
    height: view.getUint16(14),
    jpeg: new Uint8Array(data, HEADER_BYTES),
  };
}

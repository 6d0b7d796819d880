/**
 * Does the arithmetic between a point in the browser and a pixel of the target.
 *
 * It stands apart from the DOM so that the promise behind a click, to land on the pixel that was
 * under the pointer at any scale, can be tested by counting.
 */

export type Size = { width: number; height: number };
export type Box = { left: number; top: number; width: number; height: number };
export type Spot = { x: number; y: number; inside: boolean };

/** The largest value of an absolute axis in our USB report descriptor. */
export const AXIS_MAX = 32767;

/** Where `object-fit: contain` puts a picture of this size inside a box. */
export function pictureBox(box: Box, picture: Size): Box {
  const scale = Math.min(box.width / picture.width, box.height / picture.height);
  const width = picture.width * scale;
  const height = picture.height * scale;
  return {
    left: box.left + (box.width - width) / 2,
    top: box.top + (box.height - height) / 2,
    width,
    height,
  };
}

/** Finds the axis values for a point of the page; beyond an edge means on that edge. */
export function locate(box: Box, picture: Size, x: number, y: number): Spot {
  const shown = pictureBox(box, picture);
  const shareX = (x - shown.left) / shown.width;
  const shareY = (y - shown.top) / shown.height;
  return {
    x: axis(shareX, picture.width),
    y: axis(shareY, picture.height),
    inside: 0 <= shareX && shareX < 1 && 0 <= shareY && shareY < 1,
  };
}

/**
 * Aims at the centre of a pixel.
 *
 * Systems divide the axis in different ways (by 32767, by 32768, with or without rounding); from the
 * centre all of them arrive at the same pixel, from an edge they differ by one.
 */
function axis(share: number, pixels: number): number {
  // A pixel's own left edge divides to a hair below its number; the slack is a millionth of a pixel.
  const pixel = Math.floor(share * pixels + 1e-6);
  const kept = Math.min(Math.max(pixel, 0), pixels - 1);
  return Math.round(((kept + 0.5) / pixels) * AXIS_MAX);
}

/** Whether each pixel of the picture covers a whole number of the display's, so sharp edges are true. */
export function isSharp(box: Box, picture: Size, devicePixelRatio: number): boolean {
  const scale = (pictureBox(box, picture).width / picture.width) * devicePixelRatio;
  return 1 <= Math.round(scale) && Math.abs(scale - Math.round(scale)) < 0.002;
}

/**
 * Does the arithmetic between a point in the browser and a pixel of the target.
 *
 * It stands apart from the DOM so that the promise behind a click, to land on the pixel that was
 * under the pointer at any scale, can be tested by counting.
 */

export type Size = { width: number; height: number };
export type Box = { left: number; top: number; width: number; height: number };
export type Spot = { x: number; y: number; inside: boolean };

/** How what is shown is enlarged: a point `p` of the unenlarged element is drawn at `scale * p + (x, y)`. */
export type View = { scale: number; x: number; y: number };
export type Point = { x: number; y: number };

/** Stands for a picture before the first one: most are of this shape. */
export const USUAL: Size = { width: 1920, height: 1080 };
/** Nothing is enlarged, and all of the picture is seen. */
export const WHOLE: View = { scale: 1, x: 0, y: 0 };
/** From here a pixel of a large picture is as large as a fingertip on a small phone. */
const LARGEST = 8;

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

/** Where a view draws the box of an element. */
export function enlarge(box: Box, { scale, x, y }: View): Box {
  return {
    left: box.left + x,
    top: box.top + y,
    width: box.width * scale,
    height: box.height * scale,
  };
}

/** Enlarges by a factor about a point of the element, which then moves with the fingers. */
export function zoom(view: View, factor: number, at: Point, moved: Point): View {
  const scale = Math.min(Math.max(view.scale * factor, 1), LARGEST);
  const by = scale / view.scale;
  return {
    scale,
    x: at.x - (at.x - view.x) * by + moved.x,
    y: at.y - (at.y - view.y) * by + moved.y,
  };
}

/** Moves a view so that no more emptiness is seen than there must be. */
export function settle(view: View, { width, height }: Size, picture: Size): View {
  const shown = pictureBox({ left: 0, top: 0, width, height }, picture);
  return {
    scale: view.scale,
    x: slide(view.x, view.scale, width, shown.left, shown.width),
    y: slide(view.y, view.scale, height, shown.top, shown.height),
  };
}

/** One axis: what is larger than its room covers it, what is smaller is in its middle. */
function slide(at: number, scale: number, room: number, edge: number, extent: number): number {
  const first = edge * scale;
  const length = extent * scale;
  // The slack is for lengths that are equal but for rounding.
  if (length <= room + 1e-6) return (room - length) / 2 - first + 0;
  return Math.min(Math.max(at, room - length - first), -first) + 0;
}

// @ts-check
/** Frames as rows of bytes, and their grey levels, as OpenCV counts them. */

/**
 * @typedef {object} Pixels
 * @property {Uint8Array | Uint8ClampedArray} data  rows from the top, pixels from the left
 * @property {number} width  pixels
 * @property {number} height  pixels
 * @property {number} channels  bytes a pixel: 1 grey, 4 red, green, blue and one unused
 *
 * @typedef {object} Box  a rectangle in the pixels of its pixels
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 */

/** Shares of red, green and blue in grey, in 32768ths, as OpenCV's cvtColor has them (BT.601). */
const [RED, GREEN, BLUE] = [9798, 19235, 3735];
const HALF = 1 << 14;

/**
 * @param {number} red  0..255
 * @param {number} green
 * @param {number} blue
 * @returns {number}
 */
export function greyOf(red, green, blue) {
  return (red * RED + green * GREEN + blue * BLUE + HALF) >> 15;
}

/**
 * @param {Pixels} pixels
 * @returns {Pixels}
 */
export function toGrey(pixels) {
  if (pixels.channels === 1) return pixels;
  const { data, width, height, channels } = pixels;
  const grey = new Uint8Array(width * height);
  for (let at = 0, from = 0; at < grey.length; at++, from += channels) {
    grey[at] = greyOf(data[from], data[from + 1], data[from + 2]);
  }
  return { data: grey, width, height, channels: 1 };
}

/**
 * Cut a square out, in grey. What lies outside the frame repeats its edge.
 *
 * @param {Pixels} pixels
 * @param {number} left
 * @param {number} top
 * @param {number} side
 * @returns {Pixels}
 */
export function greySquare(pixels, left, top, side) {
  const { data, width, height, channels } = pixels;
  const grey = new Uint8Array(side * side);
  let at = 0;
  for (let y = top; y < top + side; y++) {
    const row = clamp(y, height - 1) * width;
    for (let x = left; x < left + side; x++, at++) {
      const from = (row + clamp(x, width - 1)) * channels;
      grey[at] = channels === 1 ? data[from] : greyOf(data[from], data[from + 1], data[from + 2]);
    }
  }
  return { data: grey, width: side, height: side, channels: 1 };
}

/**
 * A part of a frame; the frame itself where that is all of it.
 *
 * @param {Pixels} pixels
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @returns {Pixels}
 */
export function cut(pixels, left, top, width, height) {
  if (width === pixels.width && height === pixels.height) return pixels;
  const { channels } = pixels;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * pixels.width + left) * channels;
    data.set(pixels.data.subarray(from, from + width * channels), y * width * channels);
  }
  return { data, width, height, channels };
}

/** @param {Box} box */
export function area(box) {
  return box.width * box.height;
}

/**
 * @param {Box} one
 * @param {Box} other
 */
export function intersection(one, other) {
  const across = Math.min(one.left + one.width, other.left + other.width) - Math.max(one.left, other.left);
  const down = Math.min(one.top + one.height, other.top + other.height) - Math.max(one.top, other.top);
  return Math.max(0, across) * Math.max(0, down);
}

/**
 * Intersection over union, 0..1.
 *
 * @param {Box} one
 * @param {Box} other
 */
export function overlap(one, other) {
  const shared = intersection(one, other);
  return shared && shared / (area(one) + area(other) - shared);
}

/**
 * To the nearest whole number, halves to the even one, as Python and OpenCV round.
 *
 * @param {number} value
 * @returns {number}
 */
export function rounded(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/**
 * @param {number} value
 * @param {number} most
 */
function clamp(value, most) {
  return value < 0 ? 0 : value > most ? most : value;
}

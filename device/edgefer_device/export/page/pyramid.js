// @ts-check
/** A frame at half its size, again and again, as motion.py makes it. */

import { shrink } from "./resizing.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */

/**
 * The frame, halved while its longer side stays at least `least` pixels and its sides are even.
 *
 * @param {Pixels} pixels
 * @param {number} least
 * @returns {Pixels}
 */
export function halved(pixels, least) {
  let { width, height } = pixels;
  while (Math.max(width, height) >= 2 * least && !((width | height) & 1)) {
    [width, height] = [width / 2, height / 2];
    pixels = shrink(pixels, width, height);
  }
  return pixels;
}

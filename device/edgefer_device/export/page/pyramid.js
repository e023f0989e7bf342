// @ts-check
/** A picture at half its size, again and again, as pyramid.py makes it. */

import { shrink } from "./resizing.js";

/** @typedef {import("./pixels.js").Picture} Picture */

/**
 * The picture, halved while its longer side stays at least `least` pixels and its sides are even.
 *
 * @param {Picture} picture
 * @param {number} least
 * @returns {Picture}
 */
export function halved(picture, least) {
  let { width, height } = picture;
  while (Math.max(width, height) >= 2 * least && !((width | height) & 1)) {
    [width, height] = [width / 2, height / 2];
    picture = shrink(picture, width, height);
  }
  return picture;
}

// @ts-check
/** From a face in a frame to the grey square that the model reads, as preprocess.py does it. */

import { greySquare, rounded } from "./pixels.js";
import { shrink, stretch } from "./resizing.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {import("./pixels.js").Box} Box */
/** @typedef {import("./contract.js").Affine} Affine */
/** @typedef {import("./contract.js").Preprocess} Preprocess */

const PIXEL = 1 / 255; // grey levels 0..255 are reals 0..1

/**
 * @param {Pixels} pixels
 * @param {Box} box
 * @param {Preprocess} preprocess
 * @returns {Pixels}
 */
export function cropFace(pixels, box, { size, margin }) {
  const side = Math.max(1, rounded(((box.width + box.height) / 2) * (1 + 2 * margin)));
  const left = rounded(box.left + box.width / 2 - side / 2);
  const top = rounded(box.top + box.height / 2 - side / 2);
  const square = greySquare(pixels, left, top, side);
  if (side === size) return square;
  return side > size ? shrink(square, size, size) : stretch(square, size, size);
}

/**
 * The quantized values of all grey levels, as the model's input has them.
 *
 * @param {Affine} affine
 * @returns {Int8Array}
 */
export function quantizeLevels(affine) {
  return Int8Array.from({ length: 256 }, (_, level) => {
    const quantized = rounded((level * PIXEL) / affine.scale) + affine.zero_point;
    return Math.min(127, Math.max(-128, quantized));
  });
}

// @ts-check
/** Whether a face can be read at all, as quality.py judges it. */

import { rounded } from "./pixels.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {import("./contract.js").QualitySettings} QualitySettings */

/**
 * Why a face cannot be read; null when it can.
 *
 * @param {Pixels} crop  grey, as the model would see it
 * @param {number} side  of the face's box, pixels
 * @param {number | null} turn  the detector's
 * @param {QualitySettings} settings
 * @param {number} white  grey level of an overexposed pixel
 * @returns {string | null}
 */
export function rejectionReason(crop, side, turn, settings, white) {
  const { data } = crop;
  if (side < settings.smallest) return "small";
  if (mean(data) < settings.darkest) return "dark";
  if (settings.brightest && mean(data.map((level) => Number(level >= white))) >= settings.brightest) {
    return "bright";
  }
  if (turn !== null && settings.turned && Math.abs(turn) > settings.turned) return "turned";
  if (settings.blurriest && sharpness(crop) < settings.blurriest) return "blurred";
  return null;
}

/**
 * A face crop as it is read: a dim one by a gamma curve that brings its mean to middle grey.
 *
 * @param {Pixels} crop
 * @param {number} dim  mean grey level from which it is read as it is
 * @returns {Pixels}
 */
export function lightened(crop, dim) {
  const level = mean(crop.data);
  if (level >= dim) return crop;
  const power = Math.log(0.5) / Math.log(Math.min(Math.max(level, 1), 254) / 255);
  return { ...crop, data: crop.data.map((grey) => rounded(255 * (grey / 255) ** power)) };
}

/**
 * How much of a crop's variance is detail, in its more blurred direction.
 *
 * @param {Pixels} crop
 * @returns {number}
 */
export function sharpness({ data, width, height }) {
  const whole = variance(data);
  if (whole === 0) return 0;
  const across = bends(data, width - 2, height, width, 1);
  const down = bends(data, width, height - 2, width, width);
  return Math.min(variance(across), variance(down)) / whole;
}

/**
 * Second differences of grey levels.
 *
 * @param {Pixels["data"]} data
 * @param {number} columns
 * @param {number} rows
 * @param {number} stride  bytes to the next row
 * @param {number} step  bytes to the next pixel in the direction compared
 */
function bends(data, columns, rows, stride, step) {
  const found = new Float32Array(columns * rows);
  let to = 0;
  for (let row = 0; row < rows; row++) {
    for (let at = row * stride; at < row * stride + columns; at++, to++) {
      found[to] = data[at + 2 * step] - 2 * data[at + step] + data[at];
    }
  }
  return found;
}

/** @param {ArrayLike<number>} values */
function mean(values) {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at];
  return sum / values.length;
}

/** @param {ArrayLike<number>} values */
function variance(values) {
  const middle = mean(values);
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += (values[at] - middle) ** 2;
  return sum / values.length;
}

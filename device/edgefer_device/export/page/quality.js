// @ts-check
/** Whether a face can be read at all, as quality.py judges it. */

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
 * A face crop as it is read: one of little contrast with its grey levels, but for a hundredth at
 * each end, over the whole range.
 *
 * @param {Pixels} crop
 * @param {number} flat  standard deviation of grey levels from which it is read as it is
 * @returns {Pixels}
 */
export function lightened(crop, flat) {
  if (Math.sqrt(variance(crop.data)) >= flat) return crop;
  const ordered = crop.data.slice().sort();
  const end = Math.floor(ordered.length / 100);
  const low = ordered[end];
  const span = Math.max(1, ordered[ordered.length - 1 - end] - low);
  const level = (/** @type {number} */ grey) =>
    Math.floor((510 * Math.min(Math.max(grey - low, 0), span) + span) / (2 * span));
  return { ...crop, data: crop.data.map(level) };
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

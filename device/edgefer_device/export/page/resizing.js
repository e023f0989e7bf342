// @ts-check
/**
 * Frames made smaller and larger, equal to OpenCV's `resize` to the bit: a canvas's own scaling is
 * another in every browser, and some grey levels off.
 *
 * Source: OpenCV 4's modules/imgproc/src/resize.cpp, INTER_AREA and INTER_LINEAR on bytes.
 */

import { rounded } from "./pixels.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/**
 * @typedef {object} Part  how much one source row or column adds to one of the target
 * @property {number} to
 * @property {number} from
 * @property {number} share  0..1
 */

const { fround } = Math;
const EPSILON = 2 ** -52;
const LEAST_SHARE = 1e-3; // of a row or column: less is left out
const ONE = 2048; // weights of the linear way, in whole numbers

/**
 * INTER_AREA: each pixel becomes the mean of those it covers. The target must not be larger.
 *
 * @param {Pixels} pixels
 * @param {number} width
 * @param {number} height
 * @returns {Pixels}
 */
export function shrink(pixels, width, height) {
  // The inverse of the inverse: OpenCV's own way to the factor, and its last bit.
  const across = 1 / (width / pixels.width);
  const down = 1 / (height / pixels.height);
  if (across < 1 || down < 1) throw new RangeError(`${width}x${height} is not smaller`);
  const small = blank(width, height, pixels.channels);
  if (isWhole(across) && isWhole(down)) meanOfBlocks(pixels, small, rounded(across), rounded(down));
  else meanOfParts(pixels, small, partsOf(pixels.width, width, across), partsOf(pixels.height, height, down));
  return small;
}

/**
 * INTER_LINEAR: each pixel lies between four. A frame made smaller by half or more loses some.
 *
 * @param {Pixels} pixels
 * @param {number} width
 * @param {number} height
 * @returns {Pixels}
 */
export function stretch(pixels, width, height) {
  const { channels } = pixels;
  const made = blank(width, height, channels);
  const columns = neighbours(pixels.width, width, true);
  const rows = neighbours(pixels.height, height, false);
  const lineOf = lines(pixels, columns);
  const length = width * channels;
  let to = 0;
  for (const { at: row, far } of rows) {
    const [upper, lower] = [lineOf(row), lineOf(row + 1)];
    for (let at = 0; at < length; at++) {
      const above = ((ONE - far) * (upper[at] >> 4)) >> 16;
      const below = (far * (lower[at] >> 4)) >> 16;
      made.data[to++] = (above + below + 2) >> 2;
    }
  }
  return made;
}

/**
 * A frame's rows at the target's columns, the last two kept: neighbouring targets share them.
 *
 * @param {Pixels} pixels
 * @param {{ at: number, far: number }[]} columns
 * @returns {(row: number) => Int32Array}
 */
function lines({ data, width, height, channels }, columns) {
  const colours = Math.min(channels, 3); // a fourth is unused
  /** @type {Map<number, Int32Array>} */
  const kept = new Map();
  return (wanted) => {
    const row = Math.min(Math.max(wanted, 0), height - 1);
    const known = kept.get(row);
    if (known) return known;
    const line = new Int32Array(columns.length * channels);
    let to = 0;
    for (const { at, far } of columns) {
      const near = (row * width + at) * channels;
      const next = (row * width + Math.min(at + 1, width - 1)) * channels;
      for (let colour = 0; colour < colours; colour++) {
        line[to + colour] = data[near + colour] * (ONE - far) + data[next + colour] * far;
      }
      to += channels;
    }
    if (kept.size > 1) kept.delete([...kept.keys()][0]);
    kept.set(row, line);
    return line;
  };
}

/**
 * @param {number} width
 * @param {number} height
 * @param {number} channels
 * @returns {Pixels}
 */
function blank(width, height, channels) {
  return { data: new Uint8Array(width * height * channels), width, height, channels };
}

/** @param {number} factor */
function isWhole(factor) {
  return Math.abs(factor - rounded(factor)) < EPSILON;
}

/**
 * @param {Pixels} pixels
 * @param {Pixels} small
 * @param {number} across  columns of a block
 * @param {number} down  rows of a block
 */
function meanOfBlocks(pixels, small, across, down) {
  const { data, width, channels } = pixels;
  const share = fround(1 / (across * down));
  const four = across === 2 && down === 2; // its halves are rounded up, those of others to even
  let to = 0;
  for (let y = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++, to += channels) {
      for (let channel = 0; channel < Math.min(channels, 3); channel++) {
        let sum = 0;
        for (let row = y * down; row < (y + 1) * down; row++) {
          const start = (row * width + x * across) * channels + channel;
          for (let at = start; at < start + across * channels; at += channels) sum += data[at];
        }
        small.data[to + channel] = four ? (sum + 2) >> 2 : rounded(fround(sum * share));
      }
    }
  }
}

/**
 * @param {Pixels} pixels
 * @param {Pixels} small
 * @param {Part[]} columns
 * @param {Part[]} rows
 */
function meanOfParts(pixels, small, columns, rows) {
  const { data, width, channels } = pixels;
  const length = small.width * channels;
  const [line, sum] = [new Float32Array(length), new Float32Array(length)];
  let target = rows[0].to;
  for (const { to, from, share } of rows) {
    if (to !== target) {
      put(sum, small.data, target * length);
      sum.fill(0);
      target = to;
    }
    line.fill(0);
    gather(data, from * width * channels, channels, columns, line);
    // Twice: a product rounded to float32 before it is added, as the compiled code does it.
    for (let at = 0; at < length; at++) sum[at] += fround(share * line[at]);
  }
  put(sum, small.data, target * length);
}

/**
 * @param {Pixels["data"]} data
 * @param {number} start  of the row
 * @param {number} channels
 * @param {Part[]} columns
 * @param {Float32Array} line
 */
function gather(data, start, channels, columns, line) {
  const colours = Math.min(channels, 3); // a fourth is unused
  for (let part = 0; part < columns.length; part++) {
    const { to, from, share } = columns[part];
    const at = to * channels;
    const source = start + from * channels;
    for (let colour = 0; colour < colours; colour++) {
      line[at + colour] += fround(data[source + colour] * share);
    }
  }
}

/**
 * @param {Float32Array} sum
 * @param {Pixels["data"]} data
 * @param {number} start
 */
function put(sum, data, start) {
  for (let at = 0; at < sum.length; at++) data[start + at] = rounded(sum[at]);
}

/**
 * Which source rows (or columns) make which of the target, and with what share.
 *
 * @param {number} length  of the source
 * @param {number} target  of the target
 * @param {number} factor
 * @returns {Part[]}
 */
function partsOf(length, target, factor) {
  /** @type {Part[]} */
  const parts = [];
  for (let to = 0; to < target; to++) {
    const [start, end] = [to * factor, to * factor + factor];
    const cell = Math.min(factor, length - start);
    const last = Math.min(Math.floor(end), length - 1);
    const first = Math.min(Math.ceil(start), last);
    if (first - start > LEAST_SHARE) {
      parts.push({ to, from: first - 1, share: fround((first - start) / cell) });
    }
    for (let from = first; from < last; from++) parts.push({ to, from, share: fround(1 / cell) });
    if (end - last > LEAST_SHARE) {
      const share = Math.min(Math.min(end - last, 1), cell) / cell;
      parts.push({ to, from: last, share: fround(share) });
    }
  }
  return parts;
}

/**
 * For each target row or column the source's before it, and the weight of the one after.
 *
 * @param {number} length
 * @param {number} target
 * @param {boolean} held  whether the weight is taken to the edge too
 * @returns {{ at: number, far: number }[]}
 */
function neighbours(length, target, held) {
  const factor = 1 / (target / length);
  return Array.from({ length: target }, (_, to) => {
    const place = fround((to + 0.5) * factor - 0.5);
    const at = Math.floor(place);
    const far = rounded(fround(fround(place - at) * ONE));
    if (!held) return { at, far };
    if (at < 0) return { at: 0, far: 0 };
    return at >= length - 1 ? { at: length - 1, far: 0 } : { at, far };
  });
}

// @ts-check
/** BlazeFace: where faces are in a square of a frame, decoded as by blazeface.py. */

import { cut, intersection, rounded } from "./pixels.js";
import { halved } from "./pyramid.js";
import { stretch } from "./resizing.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {import("./pixels.js").Box} Box */
/** @typedef {import("./contract.js").Detector} Settings */
/** @typedef {import("./runtime.js").Model} Model */
/** @typedef {import("./tracker.js").Detection} Detection */

/**
 * @typedef {object} Found  in the pixels's pixels
 * @property {number} x  its centre
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {number} score
 * @property {number} turn
 */

const VALUES = 16; // a box and six points, two values each
const { fround } = Math;
const LEVEL = fround(1 / 127.5);

export class BlazeFace {
  /**
   * @param {Model} model
   * @param {Settings} settings
   */
  constructor(model, settings) {
    this.model = model;
    this.settings = settings;
    this.centres = centresOf(settings);
  }

  /**
   * @param {Pixels} pixels  in colour
   * @param {Box} place  a square, its corners whole pixels; black outside the frame
   * @returns {Promise<Detection[]>}  the surest first; none for a square wholly outside it
   */
  async look(pixels, place) {
    const frame = { left: 0, top: 0, width: pixels.width, height: pixels.height };
    if (!intersection(place, frame)) return [];
    const { size, same_face: same, calibration } = this.settings;
    const outputs = await this.model.run(letterbox(pixels, place, size));
    const [scores, raw] = outputs
      .map((output) => new Float32Array(output.buffer))
      .sort((one, other) => one.length - other.length);
    return merged(this.#decode(scores, raw, place), same).map((face) => ({
      box: square(face, calibration), score: face.score, turn: face.turn,
    }));
  }

  /**
   * @param {Float32Array} scores
   * @param {Float32Array} raw
   * @param {Box} place
   * @returns {Found[]}
   */
  #decode(scores, raw, place) {
    const scale = place.width / this.settings.size;
    /** @type {Found[]} */
    const found = [];
    scores.forEach((value, at) => {
      if (value < this.settings.lowest) return;
      const box = raw.subarray(at * VALUES, (at + 1) * VALUES);
      const [across, down] = this.centres[at];
      found.push({
        x: (box[0] + across) * scale + place.left,
        y: (box[1] + down) * scale + place.top,
        width: box[2] * scale,
        height: box[3] * scale,
        score: sigmoid(value),
        turn: turnOf(box.subarray(4, 10)),
      });
    });
    return found;
  }
}

/**
 * The square around a frame.
 *
 * @param {Pixels} pixels
 * @param {number} scale  its side, in longer sides of the frame
 * @returns {Box}
 */
export function around({ width, height }, scale) {
  const side = scale * Math.max(width, height);
  return { left: (width - side) / 2, top: (height - side) / 2, width: side, height: side };
}

/**
 * The anchors' centres, across and down, in the input's pixels.
 *
 * @param {Settings} settings
 * @returns {[number, number][]}
 */
export function centresOf({ size, grids }) {
  /** @type {[number, number][]} */
  const centres = [];
  for (const [cell, anchors] of grids) {
    const count = Math.floor(size / cell);
    for (let at = 0; at < count * count * anchors; at++) {
      const place = Math.floor(at / anchors);
      centres.push([((place % count) + 0.5) * cell, (Math.floor(place / count) + 0.5) * cell]);
    }
  }
  return centres;
}

/**
 * A square of the frame as reals -1..1, black where it reaches beyond.
 *
 * @param {Pixels} pixels
 * @param {Box} place
 * @param {number} size
 * @returns {Float32Array}
 */
export function letterbox(pixels, place, size) {
  const scale = size / place.width;
  const [left, top] = [Math.max(0, rounded(place.left)), Math.max(0, rounded(place.top))];
  const right = Math.min(pixels.width, rounded(place.left + place.width));
  const bottom = Math.min(pixels.height, rounded(place.top + place.height));
  const width = Math.max(1, rounded((right - left) * scale));
  const height = Math.max(1, rounded((bottom - top) * scale));
  const across = Math.min(rounded((left - place.left) * scale), size - width);
  const down = Math.min(rounded((top - place.top) * scale), size - height);
  // What is left to shrink after halving is less than by half, where no pixel is passed over.
  const part = halved(cut(pixels, left, top, right - left, bottom - top), Math.max(width, height));
  const { data, channels } = stretch(part, width, height);
  const square = new Float32Array(size * size * 3).fill(-1);
  for (let y = 0, from = 0; y < height; y++) {
    let to = ((down + y) * size + across) * 3;
    for (let x = 0; x < width; x++, from += channels, to += 3) {
      for (let colour = 0; colour < 3; colour++) {
        square[to + colour] = fround(data[from + colour] * LEVEL) - 1;
      }
    }
  }
  return square;
}

/**
 * How far the nose stands from the middle of the eyes along their line, in distances of the eyes.
 *
 * @param {Float32Array} points  right eye, left eye, nose, each across and down
 */
export function turnOf([rightX, rightY, leftX, leftY, noseX, noseY]) {
  const [across, down] = [leftX - rightX, leftY - rightY];
  const beside = (noseX - (leftX + rightX) / 2) * across + (noseY - (leftY + rightY) / 2) * down;
  return beside / Math.max(across ** 2 + down ** 2, 1e-6);
}

/**
 * One face for boxes that overlap: their mean, weighted by score, the rest from the surest.
 *
 * @param {Found[]} found
 * @param {number} same  overlap at which two boxes are one face
 * @returns {Found[]}
 */
export function merged(found, same) {
  const faces = [];
  let left = [...found].sort((one, other) => other.score - one.score);
  while (left.length) {
    const surest = left[0];
    const group = left.filter((box) => box === surest || overlap(surest, box) > same);
    const weight = group.reduce((sum, box) => sum + box.score, 0);
    /** @param {"x" | "y" | "width" | "height"} side */
    const mean = (side) => group.reduce((sum, box) => sum + box[side] * box.score, 0) / weight;
    faces.push({ ...surest, x: mean("x"), y: mean("y"), width: mean("width"), height: mean("height") });
    left = left.filter((box) => !group.includes(box));
  }
  return faces;
}

/**
 * FER2013's square for the detector's own box.
 *
 * @param {Found} face
 * @param {Settings["calibration"]} calibration
 * @returns {Box}
 */
function square({ x, y, width, height }, { scale, across, down }) {
  const own = (width + height) / 2;
  const side = scale * own;
  return { left: x + across * own - side / 2, top: y + down * own - side / 2, width: side, height: side };
}

/**
 * @param {Found} one
 * @param {Found} other
 */
function overlap(one, other) {
  /** @type {(centre: "x" | "y", side: "width" | "height") => number} */
  const shared = (centre, side) => {
    const low = Math.max(one[centre] - one[side] / 2, other[centre] - other[side] / 2);
    const high = Math.min(one[centre] + one[side] / 2, other[centre] + other[side] / 2);
    return Math.max(0, high - low);
  };
  const both = shared("x", "width") * shared("y", "height");
  const union = one.width * one.height + other.width * other.height - both;
  return both / Math.max(union, 1e-6);
}

/** @param {number} value */
function sigmoid(value) {
  return 1 / (1 + Math.exp(-Math.min(80, Math.max(-80, value))));
}

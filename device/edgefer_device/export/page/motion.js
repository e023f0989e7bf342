// @ts-check
/** Whether anything has moved since the detector last ran, as in motion.py. */

import { toGrey } from "./pixels.js";
import { halved } from "./pyramid.js";
import { shrink } from "./resizing.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {import("./pixels.js").Box} Box */

export class Motion {
  /** @param {import("./contract.js").Contract["motion"]} settings */
  constructor(settings) {
    this.settings = settings;
    /** @type {Pixels["data"] | null} */
    this.before = null;
    /** @type {Pixels["data"] | null} */
    this.now = null;
  }

  /**
   * @param {Pixels} pixels
   * @param {Box[]} faces  that are known: only what they do counts
   * @returns {boolean}
   */
  moved(pixels, faces) {
    const { width, height, enough, levels } = this.settings;
    const now = toGrey(shrink(halved(pixels, enough), width, height)).data;
    this.now = now;
    const { before } = this;
    if (before === null) return true;
    if (!faces.length) return before.some((level, at) => Math.abs(level - now[at]) >= levels);
    return faces.some((face) => this.#changed(this.#place(face, pixels), before, now));
  }

  /**
   * The points of a thumbnail that show a face, one at least.
   *
   * @param {Box} face
   * @param {Pixels} pixels
   * @returns {number[]}
   */
  #place({ left, top, width: wide, height: high }, pixels) {
    const { width, height } = this.settings;
    const [across, down] = [width / pixels.width, height / pixels.height];
    const rows = span(top * down, (top + high) * down, height);
    const columns = span(left * across, (left + wide) * across, width);
    return rows.flatMap((row) => columns.map((column) => row * width + column));
  }

  /**
   * @param {number[]} place
   * @param {Pixels["data"]} before
   * @param {Pixels["data"]} now
   */
  #changed(place, before, now) {
    /** @param {(at: number) => number} of */
    const mean = (of) => place.reduce((sum, at) => sum + of(at), 0) / place.length;
    const level = mean((at) => before[at]);
    const contrast = Math.sqrt(mean((at) => (before[at] - level) ** 2));
    return mean((at) => Math.abs(now[at] - before[at])) > this.settings.change * contrast;
  }

  /** Compare with the last frame from now on. */
  mark() {
    this.before = this.now;
  }
}

/**
 * @param {number} begin
 * @param {number} end
 * @param {number} size
 */
function span(begin, end, size) {
  const first = Math.min(Math.max(0, Math.floor(begin)), size - 1);
  const last = Math.min(size, Math.max(first + 1, Math.ceil(end)));
  return Array.from({ length: last - first }, (_, at) => first + at);
}

// @ts-check
/** Whether anything has moved since the detector last ran, as in motion.py. */

import { toGrey } from "./pixels.js";
import { halved } from "./pyramid.js";
import { shrink } from "./resizing.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */

export class Motion {
  /** @param {{ width: number, height: number, enough: number, levels: number }} settings */
  constructor(settings) {
    this.settings = settings;
    /** @type {Pixels["data"] | null} */
    this.before = null;
    /** @type {Pixels["data"] | null} */
    this.now = null;
  }

  /**
   * @param {Pixels} pixels
   * @returns {boolean}
   */
  moved(pixels) {
    const { width, height, enough, levels } = this.settings;
    const now = toGrey(shrink(halved(pixels, enough), width, height)).data;
    this.now = now;
    return this.before === null || this.before.some((level, at) => Math.abs(level - now[at]) >= levels);
  }

  /** Compare with the last frame from now on. */
  mark() {
    this.before = this.now;
  }
}

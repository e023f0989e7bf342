// @ts-check
/** Whether anything has moved since faces were last looked for, as motion.py sees it. */

import { toGrey } from "./pixels.js";
import { halved } from "./pyramid.js";
import { shrink } from "./resizing.js";

/** @typedef {import("./pixels.js").Picture} Picture */

export class Motion {
  /** @param {{ width: number, height: number, enough: number, levels: number }} settings */
  constructor(settings) {
    this.settings = settings;
    /** @type {Picture["data"] | null} */
    this.before = null;
    /** @type {Picture["data"] | null} */
    this.now = null;
  }

  /**
   * @param {Picture} picture
   * @returns {boolean}
   */
  moved(picture) {
    const { width, height, enough, levels } = this.settings;
    const now = toGrey(shrink(halved(picture, enough), width, height)).data;
    this.now = now;
    return this.before === null || this.before.some((level, at) => Math.abs(level - now[at]) >= levels);
  }

  /** Compare with the last picture from now on. */
  mark() {
    this.before = this.now;
  }
}

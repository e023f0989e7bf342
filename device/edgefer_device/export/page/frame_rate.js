// @ts-check
/** How often frames are analyzed: seldom while nobody is there, so that the phone stays cool. */

/** @typedef {import("./contract.js").FrameRateSettings} FrameRateSettings */

const EARLY = 0.01; // seconds by which a frame may come early: cameras are not exact

export class FrameRate {
  /** @param {FrameRateSettings} settings */
  constructor(settings) {
    this.settings = settings;
    this.present = -Infinity; // seconds: when somebody was last there, or in hasUnconfirmed
    this.analyzed = -Infinity;
  }

  /**
   * @param {boolean} somebody  is there, or may be
   * @param {number} time  seconds
   */
  onFace(somebody, time) {
    if (somebody) this.present = time;
  }

  /**
   * Whether the frame of this time is to be analyzed.
   *
   * @param {number} time  seconds
   */
  due(time) {
    const { idle, active, linger } = this.settings;
    const rate = time - this.present <= linger ? active : idle;
    if (!rate) return true;
    const step = 1 / rate;
    if (time < this.analyzed + step - EARLY) return false;
    // From when it was due, not from when it came: else every late frame would slow the rest.
    this.analyzed = Math.max(this.analyzed + step, time - step);
    return true;
  }
}

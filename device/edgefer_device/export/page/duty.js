// @ts-check
/** How often to look: seldom while nobody is there, so that the phone stays cool. */

/** @typedef {import("./contract.js").DutySettings} DutySettings */

const EARLY = 0.01; // seconds by which a frame may come early: cameras are not exact

export class Duty {
  /** @param {DutySettings} settings */
  constructor(settings) {
    this.settings = settings;
    this.seen = -Infinity; // seconds: when somebody was last there, or in doubt
    this.looked = -Infinity;
  }

  /**
   * @param {boolean} somebody  is there, or may be
   * @param {number} time  seconds
   */
  note(somebody, time) {
    if (somebody) this.seen = time;
  }

  /**
   * Whether the frame of this time is to be looked at.
   *
   * @param {number} time  seconds
   */
  wants(time) {
    const { idle, active, linger } = this.settings;
    const rate = time - this.seen <= linger ? active : idle;
    if (!rate) return true;
    const step = 1 / rate;
    if (time < this.looked + step - EARLY) return false;
    // From when it was due, not from when it came: else every late frame would slow the rest.
    this.looked = Math.max(this.looked + step, time - step);
    return true;
  }
}

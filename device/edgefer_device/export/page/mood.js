// @ts-check
/** The mood of one face over time, as mood.py has it: slow to change, silent when it is not sure. */

/** @typedef {import("./contract.js").MoodSettings} MoodSettings */

export const UNKNOWN = "unknown";
export const UNSURE = "unsure";

/**
 * A value that changes only when the change was wanted for a while.
 */
class Dwelling {
  /** @param {string} value */
  constructor(value) {
    this.value = value;
    this.wanted = value;
    this.since = -Infinity;
  }

  /**
   * @param {string} value
   * @param {number} time  seconds
   * @param {number} dwell  seconds
   */
  want(value, time, dwell) {
    if (value !== this.wanted) {
      this.wanted = value;
      this.since = time;
    }
    if (time - this.since >= dwell) this.value = value;
  }
}

export class Mood {
  /**
   * @param {string[]} labels
   * @param {MoodSettings} settings
   * @param {number} floor  least probability taken into the logarithm
   */
  constructor(labels, settings, floor) {
    this.labels = labels;
    this.settings = settings;
    this.floor = floor;
    /** @type {number[] | null} */
    this.logs = null;
    this.smoothed = labels.map(() => 0);
    this.time = 0;
    /** @type {Dwelling | null} */
    this.held = null;
    this.why = new Dwelling(UNSURE);
  }

  /** What is said now. */
  get label() {
    return this.held?.value ?? UNKNOWN;
  }

  /** Why the label is unknown; null when it is not. */
  get reason() {
    return this.label === UNKNOWN ? this.why.value : null;
  }

  /** Smoothed probability of the label; of the likeliest one while it is unknown. */
  get confidence() {
    return this.label === UNKNOWN ? Math.max(...this.smoothed) : this.#probability(this.label);
  }

  /**
   * @param {number[]} probabilities
   * @param {number} time  seconds
   */
  update(probabilities, time) {
    this.#smooth(probabilities.map((share) => Math.log(Math.max(share, this.floor))), time);
    this.#want(this.#choose(), UNSURE, time);
  }

  /**
   * A frame in which the face could not be read.
   *
   * @param {string} reason
   * @param {number} time  seconds
   */
  miss(reason, time) {
    this.#want(UNKNOWN, reason, time);
  }

  /**
   * @param {string} label
   * @param {string} reason
   * @param {number} time
   */
  #want(label, reason, time) {
    if (!this.held) {
      this.held = new Dwelling(label);
      this.why = new Dwelling(reason);
    }
    this.held.want(label, time, this.settings.dwell);
    this.why.want(reason, time, this.settings.dwell);
  }

  /**
   * @param {number[]} logs
   * @param {number} time
   */
  #smooth(logs, time) {
    const { logs: past, settings } = this;
    const fresh = 1 - Math.exp(-Math.max(0, time - this.time) / settings.seconds);
    const steps = past === null || settings.seconds === 0;
    this.logs = steps ? logs : past.map((log, at) => log + fresh * (logs[at] - log));
    this.time = time;
    const most = Math.max(...this.logs);
    const powers = this.logs.map((log) => Math.exp(log - most));
    const sum = powers.reduce((all, power) => all + power);
    this.smoothed = powers.map((power) => power / sum);
  }

  /** The label that the smoothed probabilities ask for, given what holds. */
  #choose() {
    const { threshold: enough, hysteresis: step } = this.settings;
    const most = Math.max(...this.smoothed);
    const best = this.labels[this.smoothed.indexOf(most)];
    const bestOrNone = most >= enough ? best : UNKNOWN;
    if (this.label === UNKNOWN) return bestOrNone;
    const held = this.#probability(this.label);
    if (held < enough - step) return bestOrNone;
    return most >= Math.max(enough, held + step) ? best : this.label;
  }

  /** @param {string} label */
  #probability(label) {
    return this.smoothed[this.labels.indexOf(label)];
  }
}

// @ts-check
/** The mood of one face over time, as mood/filter.py has it: a filter over labels and `unknown`. */

/** @typedef {import("./contract.js").MoodFilter} MoodFilter */

export const UNKNOWN = "unknown";
export const UNSURE = "unsure";

export class Mood {
  /**
   * @param {string[]} labels
   * @param {MoodFilter} filter
   */
  constructor(labels, filter) {
    this.labels = labels;
    this.filter = filter;
    this.prior = [...filter.prior.map((share) => share * (1 - filter.unknown)), filter.unknown];
    this.belief = this.prior; // of each label, and of unknown
    /** @type {number | null} */
    this.time = null;
    this.wasRead = false;
    this.why = UNSURE;
    this.given = -Infinity; // time at which `why` was given last, seconds
  }

  /** What is reported now: no label whose probability is under the threshold. */
  get label() {
    const reaches = this.wasRead && this.confidence >= this.filter.threshold;
    return reaches ? this.labels[this.belief.indexOf(this.confidence)] : UNKNOWN;
  }

  /** Why the label is unknown; null when it is not. */
  get reason() {
    return this.label === UNKNOWN ? this.why : null;
  }

  /** Probability of the likeliest label; 0 before the face was read. */
  get confidence() {
    return this.wasRead ? Math.max(...this.belief.slice(0, -1)) : 0;
  }

  /**
   * @param {number[]} probabilities
   * @param {number} time  seconds
   */
  update(probabilities, time) {
    const { outliers, threshold } = this.filter;
    const shares = probabilities.map((one) => one * (1 - outliers) + outliers / this.labels.length);
    const doubt = (1 - Math.max(...shares)) * threshold / (1 - threshold);
    this.#weigh([...shares, doubt], time);
    this.wasRead = true;
    this.#explain(UNSURE, time);
  }

  /**
   * A frame in which the face could not be read.
   *
   * @param {string} reason
   * @param {number} time  seconds
   */
  miss(reason, time) {
    this.#weigh([...this.labels.map(() => this.filter.outliers), 1], time);
    this.#explain(reason, time);
  }

  /**
   * @param {string} reason
   * @param {number} time
   */
  #explain(reason, time) {
    const held = this.label === UNKNOWN && time - this.given < this.filter.hold;
    if (held && reason !== this.why) return;
    this.why = reason;
    this.given = time;
  }

  /**
   * Carry the belief to a frame and multiply it by the frame's evidence.
   *
   * @param {number[]} evidence  of each label, and of unknown
   * @param {number} time
   */
  #weigh(evidence, time) {
    const { correlation, inertia, seconds } = this.filter;
    const first = this.time === null;
    const passed = Math.max(0, time - (this.time ?? time));
    const weight = first ? 1 : 1 - Math.exp(-passed / correlation);
    const changed = 1 - Math.exp(-passed / seconds);
    const belief = this.belief.map((share, at) => {
      const now = share + changed * (this.prior[at] - share);
      return now * (evidence[at] * (first ? 1 : 1 + inertia * now)) ** weight;
    });
    const sum = belief.reduce((all, share) => all + share);
    this.belief = belief.map((share) => share / sum);
    this.time = time;
  }
}

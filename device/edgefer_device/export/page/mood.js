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
    this.belief = filter.prior;
    this.unknown = filter.unknown; // how likely no label can be named
    /** @type {number | null} */
    this.time = null;
    this.wasRead = false;
    this.why = UNSURE;
    this.given = -Infinity; // time at which `why` was given last, seconds
  }

  /** What is reported now: no label whose probability is under the threshold. */
  get label() {
    const reaches = this.wasRead && this.confidence >= this.filter.threshold;
    return reaches ? this.labels[this.belief.indexOf(Math.max(...this.belief))] : UNKNOWN;
  }

  /** Why the label is unknown; null when it is not. */
  get reason() {
    return this.label === UNKNOWN ? this.why : null;
  }

  /** Probability of the likeliest label; 0 before the face was read. */
  get confidence() {
    return this.wasRead ? Math.max(...this.belief) * (1 - this.unknown) : 0;
  }

  /**
   * @param {number[]} probabilities
   * @param {number} time  seconds
   */
  update(probabilities, time) {
    const { outliers, threshold } = this.filter;
    const shares = probabilities.map((one) => one * (1 - outliers) + outliers / this.labels.length);
    const best = Math.max(...shares);
    this.#carry(shares, best / (1 - best) / threshold * (1 - threshold), time);
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
    this.#carry(this.labels.map(() => 1), this.filter.unreadable, time);
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
   * Carry the beliefs to a frame.
   *
   * @param {number[]} evidence  of each label
   * @param {number} odds  that one can be named
   * @param {number} time
   */
  #carry(evidence, odds, time) {
    const { correlation, prior, seconds, unknown } = this.filter;
    const first = this.time === null;
    const inertia = first ? 0 : this.filter.inertia;
    const knownInertia = first ? 0 : this.filter.known_inertia;
    const passed = Math.max(0, time - (this.time ?? time));
    const weight = first ? 1 : 1 - Math.exp(-passed / correlation);
    const changed = 1 - Math.exp(-passed / seconds);
    const belief = this.belief.map((share, at) => {
      const now = share + changed * (prior[at] - share);
      return now * (evidence[at] * (1 + inertia * now)) ** weight;
    });
    const sum = belief.reduce((all, share) => all + share);
    this.belief = belief.map((share) => share / sum);
    const doubt = this.unknown + changed * (unknown - this.unknown);
    const named = (1 - doubt) * (odds * (1 + knownInertia * (1 - doubt))) ** weight;
    const unnamed = doubt * (1 + knownInertia * doubt) ** weight;
    this.unknown = unnamed / (named + unnamed);
    this.time = time;
  }
}

// @ts-check
/** What the int8 model says of a chip: counts, and calibrated probabilities. */

import { countsOf } from "./chip.js";

/** @typedef {import("./pixels.js").Picture} Picture */
/** @typedef {import("./contract.js").Affine} Affine */
/** @typedef {import("./contract.js").Contract} Contract */
/** @typedef {import("./runtime.js").Model} Model */

const { fround } = Math;

export class Classifier {
  /**
   * @param {Model} model
   * @param {Pick<Contract, "input" | "output" | "temperature">} contract
   */
  constructor(model, { input, output, temperature }) {
    this.model = model;
    this.table = countsOf(input);
    this.output = output;
    this.temperature = temperature;
  }

  /**
   * @param {Picture} chip  grey
   * @returns {Promise<Int8Array>}  the model's own counts, one a label
   */
  async counts(chip) {
    const [given] = await this.model.run(Int8Array.from(chip.data, (level) => this.table[level]));
    return new Int8Array(given.buffer);
  }

  /**
   * @param {Picture} chip  grey
   * @returns {Promise<number[]>}  probabilities, one a label
   */
  async read(chip) {
    return softmax(logitsOf(await this.counts(chip), this.output), this.temperature);
  }
}

/**
 * @param {Int8Array} counts
 * @param {Affine} affine
 * @returns {number[]}
 */
export function logitsOf(counts, { scale, zero_point: zero }) {
  return Array.from(counts, (count) => fround(fround(scale) * (count - zero)));
}

/**
 * @param {number[]} logits
 * @param {number} temperature
 * @returns {number[]}
 */
export function softmax(logits, temperature) {
  const scaled = logits.map((logit) => fround(logit / fround(temperature)));
  const most = Math.max(...scaled);
  const powers = scaled.map((value) => fround(Math.exp(fround(value - most))));
  const sum = powers.reduce((all, power) => fround(all + power), 0);
  return powers.map((power) => fround(power / sum));
}

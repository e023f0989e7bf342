// @ts-check
/** The int8 model: quantized outputs of a face crop, and calibrated probabilities. */

import { quantizeLevels } from "./face_crop.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {import("./contract.js").Affine} Affine */
/** @typedef {import("./contract.js").Contract} Contract */
/** @typedef {import("./runtime.js").Model} Model */

const { fround } = Math;

export class Classifier {
  /**
   * @param {Model} model
   * @param {Pick<Contract, "input" | "outputs" | "terms" | "temperature">} contract
   */
  constructor(model, { input, outputs, terms, temperature }) {
    this.model = model;
    this.table = quantizeLevels(input);
    this.outputs = outputs;
    this.terms = terms;
    this.temperature = temperature;
  }

  /**
   * @param {Pixels} crop  grey
   * @returns {Promise<Int8Array[]>}  quantized logits of each head, one a label
   */
  async quantized(crop) {
    const outputs = await this.model.run(Int8Array.from(crop.data, (level) => this.table[level]));
    return outputs.map((output) => new Int8Array(output.buffer));
  }

  /**
   * @param {Pixels} crop  grey
   * @returns {Promise<number[]>}  probabilities, one a label
   */
  async classify(crop) {
    const heads = (await this.quantized(crop)).flatMap((one, at) => logitsOf(one, this.outputs[at]));
    return softmax(decoded(heads, this.terms), this.temperature);
  }
}

/**
 * The logits of the labels, from those of all heads side by side: heads.py's `Decoder.logits`.
 * @param {number[]} heads
 * @param {Contract["terms"]} terms
 * @returns {number[]}
 */
export function decoded(heads, terms) {
  const parts = terms.map(({ columns, factor }) => columns.map((at) => fround(fround(factor) * heads[at])));
  return parts.reduce((sums, part) => sums.map((sum, at) => fround(sum + part[at])));
}

/**
 * @param {Int8Array} quantized
 * @param {Affine} affine
 * @returns {number[]}
 */
export function logitsOf(quantized, { scale, zero_point: zero }) {
  return Array.from(quantized, (value) => fround(fround(scale) * (value - zero)));
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

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
   * @param {Pick<Contract, "input" | "output" | "temperature">} contract
   */
  constructor(model, { input, output, temperature }) {
    this.model = model;
    this.table = quantizeLevels(input);
    this.output = output;
    this.temperature = temperature;
  }

  /**
   * @param {Pixels} crop  grey
   * @returns {Promise<Int8Array>}  quantized logits, one a label
   */
  async quantized(crop) {
    const [output] = await this.model.run(Int8Array.from(crop.data, (level) => this.table[level]));
    return new Int8Array(output.buffer);
  }

  /**
   * @param {Pixels} crop  grey
   * @returns {Promise<number[]>}  probabilities, one a label
   */
  async classify(crop) {
    return softmax(logitsOf(await this.quantized(crop), this.output), this.temperature);
  }
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

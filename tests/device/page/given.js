/** The vectors, and the frames that both sides count out; see tests/support/page_vectors.py. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

export const vectors = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8"));

/**
 * @param {string} name  of one of the page's modules
 * @returns {Promise<any>}
 */
export function page(name) {
  return import(`${process.env.EDGEFER_PAGE}/${name}`);
}

/**
 * A frame of red, green, blue and one byte that nobody may look at.
 *
 * @param {number} seed
 * @param {number} width
 * @param {number} height
 * @param {[low: number, high: number]} [levels]
 */
export function noise(seed, width, height, [low, high] = [0, 255]) {
  const data = new Uint8Array(width * height * 4);
  for (let at = 0; at < width * height * 3; at++) {
    let value = Math.imul(at + seed * 7919, 2654435761) >>> 0;
    value = Math.imul(value ^ (value >>> 15), 2246822519) >>> 0;
    value = (value ^ (value >>> 13)) >>> 0;
    data[Math.floor(at / 3) * 4 + (at % 3)] = low + ((value >>> 16) % (high - low + 1));
  }
  for (let at = 3; at < data.length; at += 4) data[at] = at * 37;
  return { data, width, height, channels: 4 };
}

/**
 * The sha256 of bytes, in base64; of four channels the first three.
 *
 * @param {ArrayLike<number>} data
 * @param {number} [channels]
 */
export function digest(data, channels = 1) {
  const bytes = Uint8Array.from(data).filter((_, at) => channels < 4 || at % 4 < 3);
  return createHash("sha256").update(bytes).digest("base64");
}

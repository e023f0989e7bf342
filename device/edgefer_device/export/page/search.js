// @ts-check
/** Faces of any size in the frames of a video, as search.py looks for them. */

import { around } from "./blazeface.js";
import { area, intersection, overlap, rounded } from "./pixels.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {import("./pixels.js").Box} Box */
/** @typedef {import("./contract.js").Search} Settings */
/** @typedef {import("./tracker.js").Detection} Detection */
/** @typedef {{ look: (pixels: Pixels, place: Box) => Promise<Detection[]> }} Looker */

export class FaceSearch {
  /**
   * @param {Looker} far  the full-range model
   * @param {Looker} near  the short-range model
   * @param {Settings} settings
   */
  constructor(far, near, settings) {
    this.far = far;
    this.near = near;
    this.settings = settings;
    this.turn = 0;
    this.known = 0;
    /** The turn at which somebody came or went last. */
    this.since = 0;
  }

  /**
   * @param {Pixels} pixels  in colour
   * @param {Box[]} known  faces that are followed
   * @param {boolean} search  for others too
   * @returns {Promise<Detection[]>}  the surest first
   */
  async watch(pixels, known, search) {
    if (known.length !== this.known) {
      this.known = known.length;
      this.since = this.turn;
    }
    if (!known.length) return this.#distinct(await this.#search(pixels));
    const many = known.length > this.settings.few;
    const whole = many ? await this.#whole(pixels) : [];
    const found = whole.filter((face) => face.score >= this.settings.sure);
    for (const box of known) {
      if (!this.#seen(found, box)) found.push(...await this.near.look(pixels, this.followed(box)));
    }
    found.push(...whole);
    if (!many && (search || !known.every((box) => this.#seen(found, box)))) {
      found.push(...await this.#whole(pixels));
    }
    if (search) found.push(...await this.#nextTiles(pixels));
    return surest(this.#distinct(found));
  }

  /** @param {Pixels} pixels */
  #whole(pixels) {
    return this.far.look(pixels, around(pixels, 1));
  }

  /** @param {Pixels} pixels */
  async #search(pixels) {
    const found = await this.#whole(pixels);
    if (!this.#sure(found)) {
      found.push(...await this.near.look(pixels, around(pixels, this.settings.padded)));
    }
    if (!this.#sure(found)) found.push(...await this.#nextTiles(pixels));
    return surest(found);
  }

  /** @param {Pixels} pixels */
  async #nextTiles(pixels) {
    const { eager, small } = this.settings;
    const every = smallestTiles(pixels, this.settings);
    const first = this.turn;
    this.turn += Math.min(every.length, first - this.since < every.length ? eager : 1);
    /** @type {Detection[]} */
    const found = [];
    for (let at = first; at < this.turn; at += 1) {
      const tile = every[at % every.length];
      const faces = await this.far.look(pixels, tile);
      found.push(...faces.filter((face) => face.box.width <= small * tile.width));
    }
    return found;
  }

  /**
   * The square in which to look for a known face.
   *
   * @param {Box} box
   * @returns {Box}
   */
  followed(box) {
    const { step, around: wide } = this.settings;
    /** @param {number} value */
    const stepped = (value) => step * rounded(value / step);
    const side = Math.max(step, stepped(wide * box.width));
    const [left, top] = [box.left + (box.width - side) / 2, box.top + (box.height - side) / 2];
    return { left: stepped(left), top: stepped(top), width: side, height: side };
  }

  /**
   * Each face once: of boxes that overlap, or lie within another, the first.
   *
   * @param {Detection[]} faces
   */
  #distinct(faces) {
    const { same_face: same, inside } = this.settings;
    /** @type {Detection[]} */
    const kept = [];
    for (const face of faces) {
      const again = kept.some(({ box }) => overlap(face.box, box) > same
        || intersection(face.box, box) > inside * Math.min(area(face.box), area(box)));
      if (!again) kept.push(face);
    }
    return kept;
  }

  /**
   * @param {Detection[]} faces
   * @param {Box} box
   */
  #seen(faces, box) {
    return faces.some((face) => overlap(face.box, box) > this.settings.same_face);
  }

  /** @param {Detection[]} faces */
  #sure(faces) {
    return faces.some((face) => face.score >= this.settings.sure);
  }
}

/**
 * The smallest squares that cover a frame and in which a model sees more.
 *
 * @param {Pick<Pixels, "width" | "height">} pixels
 * @param {Settings} settings
 * @returns {Box[]}
 */
export function smallestTiles({ width, height }, settings) {
  const { tile, levels, least_tile: least, step } = settings;
  const longer = Math.max(width, height);
  for (let level = levels; level > 0; level -= 1) {
    const side = step * rounded((tile ** level * longer) / step);
    if (side < least) continue;
    const lefts = starts(width, side, settings);
    return starts(height, side, settings).flatMap((top) => (
      lefts.map((left) => ({ left, top, width: side, height: side }))));
  }
  return [];
}

/**
 * Where tiles begin along one side of a frame.
 *
 * @param {number} length
 * @param {number} side
 * @param {Settings} settings
 */
function starts(length, side, { overlap: shared, step }) {
  const rest = length - side;
  const count = Math.ceil(Math.max(0, rest - (shared * side) / 2) / (side * (1 - shared)));
  if (count === 0) return [step * Math.floor(Math.floor(rest / 2) / step)];
  return Array.from({ length: count + 1 }, (_, at) => step * rounded((at * rest) / count / step));
}

/** @param {Detection[]} faces */
function surest(faces) {
  return faces.sort((one, other) => other.score - one.score);
}

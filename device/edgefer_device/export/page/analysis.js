// @ts-check
/** From a frame to a report, as analysis.py goes: look, follow, read, judge. */

import { chipOf } from "./chip.js";
import { Mood } from "./mood.js";
import { Motion } from "./motion.js";
import { fault } from "./quality.js";
import { Tracker } from "./tracker.js";

/** @typedef {import("./pixels.js").Picture} Picture */
/** @typedef {import("./contract.js").Contract} Contract */
/** @typedef {import("./tracker.js").Detection} Detection */
/** @typedef {import("./tracker.js").Track} Track */

/**
 * @typedef {object} Report
 * @property {number} time  seconds
 * @property {number} faces
 * @property {string | null} mood  of the largest face; null: no face
 * @property {number | null} confidence  0..1
 * @property {string | null} reason  why the mood is unknown
 * @property {boolean} doubt  something is followed that may be a face
 * @property {boolean} looked  whether faces were looked for in this frame
 */

export class Analyst {
  /**
   * @param {{ detect: (picture: Picture) => Promise<Detection[]> }} detector
   * @param {{ read: (chip: Picture) => Promise<number[]> }} classifier
   * @param {Contract} contract
   */
  constructor(detector, classifier, contract) {
    this.detector = detector;
    this.classifier = classifier;
    this.contract = contract;
    this.tracker = new Tracker(contract.tracking);
    this.motion = new Motion(contract.motion);
    this.last = 0;
    /** @type {Map<number, Mood>} */
    this.moods = new Map();
  }

  /**
   * @param {Picture} picture
   * @param {number} time  seconds; frames come in order
   * @returns {Promise<Report>}
   */
  async look(picture, time) {
    const looked = await this.#follow(picture, time);
    const { tracks } = this.tracker;
    this.#forget(new Set(tracks.map((track) => track.number)));
    for (const track of tracks) if (!track.missed) await this.#read(picture, track, time);
    const first = tracks.length ? this.moods.get(tracks[0].number) : undefined;
    return {
      time,
      faces: tracks.length,
      mood: first?.label ?? null,
      confidence: first?.confidence ?? null,
      reason: first?.reason ?? null,
      doubt: this.tracker.doubt,
      looked,
    };
  }

  /**
   * @param {Picture} picture
   * @param {number} time
   */
  async #follow(picture, time) {
    if (time - this.last > this.contract.gap) this.tracker.forget();
    this.last = time;
    const moved = this.motion.moved(picture);
    if (!this.tracker.wantsDetection(time, moved)) return false;
    this.tracker.update(await this.detector.detect(picture), time);
    this.motion.mark();
    return true;
  }

  /**
   * @param {Picture} picture
   * @param {Track} track
   * @param {number} time
   */
  async #read(picture, { number, box, turn }, time) {
    const { labels, mood: settings, floor, preprocess, quality, white } = this.contract;
    const mood = this.moods.get(number) ?? new Mood(labels, settings, floor);
    this.moods.set(number, mood);
    const chip = chipOf(picture, box, preprocess);
    const reason = fault(chip, box.width, turn, quality, white);
    if (reason === null) mood.update(await this.classifier.read(chip), time);
    else mood.miss(reason, time);
  }

  /** @param {Set<number>} alive */
  #forget(alive) {
    for (const number of this.moods.keys()) if (!alive.has(number)) this.moods.delete(number);
  }
}

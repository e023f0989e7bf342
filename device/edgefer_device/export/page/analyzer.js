// @ts-check
/** From a frame to a report, as analyzer.py goes: detect, track, classify, filter. */

import { cropFace } from "./face_crop.js";
import { Mood } from "./mood.js";
import { Motion } from "./motion.js";
import { lightened, rejectionReason } from "./quality.js";
import { Tracker } from "./tracker.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {import("./pixels.js").Box} Box */
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
 * @property {boolean} hasUnconfirmed  a track is not confirmed, or missed
 * @property {boolean} detected  whether faces were detected for in this frame
 */

export class FrameAnalyzer {
  /**
   * @param {{ watch: (pixels: Pixels, known: Box[], search: boolean) => Promise<Detection[]> }} detector
   * @param {{ classify: (crop: Pixels) => Promise<number[]> }} classifier
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
   * @param {Pixels} pixels
   * @param {number} time  seconds; frames come in order
   * @returns {Promise<Report>}
   */
  async process(pixels, time) {
    const detected = await this.#follow(pixels, time);
    const { tracks } = this.tracker;
    this.#forget(new Set(tracks.map((track) => track.number)));
    for (const track of tracks) if (!track.missed) await this.#read(pixels, track, time);
    const first = tracks.length ? this.moods.get(tracks[0].number) : undefined;
    return {
      time,
      faces: tracks.length,
      mood: first?.label ?? null,
      confidence: first?.confidence ?? null,
      reason: first?.reason ?? null,
      hasUnconfirmed: this.tracker.hasUnconfirmed,
      detected,
    };
  }

  /**
   * @param {Pixels} pixels
   * @param {number} time
   */
  async #follow(pixels, time) {
    if (time - this.last > this.contract.gap) this.tracker.forget();
    this.last = time;
    // Motion is measured only where it decides.
    if (!this.tracker.wantsDetection(time, true)) return false;
    const known = this.tracker.all.map((track) => this.tracker.expected(track, time));
    if (!this.tracker.wantsDetection(time, this.motion.moved(pixels, known))) return false;
    const search = this.tracker.wantsSearch(time);
    this.tracker.update(await this.detector.watch(pixels, known, search), time, search);
    this.motion.mark();
    return true;
  }

  /**
   * @param {Pixels} pixels
   * @param {Track} track
   * @param {number} time
   */
  async #read(pixels, { number, box, turn }, time) {
    const { labels, mood: filter, preprocess, quality, white, flat } = this.contract;
    const mood = this.moods.get(number) ?? new Mood(labels, filter);
    this.moods.set(number, mood);
    const crop = cropFace(pixels, box, preprocess);
    const reason = rejectionReason(crop, box.width, turn, quality, white);
    if (reason === null) mood.update(await this.classifier.classify(lightened(crop, flat)), time);
    else mood.miss(reason, time);
  }

  /** @param {Set<number>} alive */
  #forget(alive) {
    for (const number of this.moods.keys()) if (!alive.has(number)) this.moods.delete(number);
  }
}

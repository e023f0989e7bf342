// @ts-check
/** Which face is which from frame to frame, as tracker.py follows them. */

import { area, overlap } from "./pixels.js";

/** @typedef {import("./pixels.js").Box} Box */
/** @typedef {import("./contract.js").TrackingSettings} TrackingSettings */

/**
 * @typedef {object} Detection
 * @property {Box} box
 * @property {number} score  0..1
 * @property {number | null} turn  how far the nose stands from the middle of the eyes
 *
 * @typedef {object} Track
 * @property {number} number
 * @property {Box} box
 * @property {number} score
 * @property {number} certainty  mean of its scores, each weighing half of the next
 * @property {number} hits
 * @property {number} seen  seconds
 * @property {boolean} missed
 * @property {boolean} confirmed
 * @property {number | null} turn
 */

export class Tracker {
  /** @param {TrackingSettings} settings */
  constructor(settings) {
    this.settings = settings;
    /** @type {Track[]} */
    this.all = [];
    /** When the detector last ran. @type {number | null} */
    this.detected = null;
    /** When others than the known faces were looked for. @type {number | null} */
    this.searched = null;
    this.next = 1;
  }

  /** The confirmed tracks, the largest first. */
  get tracks() {
    return this.all
      .filter((track) => track.confirmed)
      .sort((one, other) => area(other.box) - area(one.box) || one.number - other.number);
  }

  /** Whether a track is missed or not confirmed: something may be there. */
  get hasUnconfirmed() {
    return this.all.some((track) => track.missed || !track.confirmed);
  }

  /**
   * @param {number} time  seconds
   * @param {boolean} moved
   */
  wantsDetection(time, moved) {
    if (this.hasUnconfirmed || this.detected === null) return true;
    const { certainty, interval, still } = this.settings;
    const restless = moved || this.all.some((track) => track.score < certainty);
    return time - this.detected >= (restless ? interval : still);
  }

  /** @param {number} time  seconds */
  wantsSearch(time) {
    if (!this.all.length || this.searched === null) return true;
    return time - this.searched >= this.settings.still;
  }

  forget() {
    this.all = [];
    this.detected = null;
  }

  /**
   * @param {Detection[]} detections
   * @param {number} time  seconds
   * @param {boolean} searched
   */
  update(detections, time, searched) {
    this.detected = time;
    if (searched) this.searched = time;
    const large = detections.filter((face) => face.box.width >= this.settings.smallest);
    const pairs = this.#pairs(large);
    const followed = new Set(pairs.values());
    const kept = this.all
      .map((track) => this.#follow(track, pairs.get(track.number), time))
      .filter((track) => this.#lives(track, time));
    const fresh = large.filter((face) => !followed.has(face)).map((face) => this.#begin(face, time));
    this.all = [...kept, ...fresh];
  }

  /**
   * The detection of each continued track, best overlaps first.
   *
   * @param {Detection[]} detections
   * @returns {Map<number, Detection>}
   */
  #pairs(detections) {
    const overlaps = this.all.flatMap(({ number, box }) =>
      detections.map((face) => ({ number, face, shared: overlap(box, face.box) })));
    overlaps.sort((one, other) => other.shared - one.shared || one.number - other.number);
    /** @type {Map<number, Detection>} */
    const pairs = new Map();
    const taken = new Set();
    for (const { number, face, shared } of overlaps) {
      if (shared < this.settings.overlap || pairs.has(number) || taken.has(face)) continue;
      pairs.set(number, face);
      taken.add(face);
    }
    return pairs;
  }

  /**
   * @param {Track} track
   * @param {Detection | undefined} face
   * @param {number} time
   * @returns {Track}
   */
  #follow(track, face, time) {
    if (!face) return { ...track, hits: 0, missed: true };
    const fresh = {
      ...track,
      ...face,
      certainty: (track.certainty + face.score) / 2,
      hits: track.hits + 1,
      seen: time,
      missed: false,
    };
    return { ...fresh, confirmed: track.confirmed || this.#convinces(fresh) };
  }

  /** @param {Pick<Track, "hits" | "certainty">} track */
  #convinces({ hits, certainty }) {
    return hits >= this.settings.hits && certainty >= this.settings.certainty;
  }

  /**
   * @param {Detection} face
   * @param {number} time
   * @returns {Track}
   */
  #begin(face, time) {
    const begun = { ...face, number: this.next++, certainty: face.score, hits: 1 };
    return { ...begun, seen: time, missed: false, confirmed: this.#convinces(begun) };
  }

  /**
   * @param {Track} track
   * @param {number} time
   */
  #lives(track, time) {
    if (!track.missed) return true;
    return track.confirmed && time - track.seen < this.settings.patience;
  }
}

// @ts-check
/** Which face is which from frame to frame, as tracker.py follows them. */

import { area, intersection, overlap } from "./pixels.js";

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
 * @property {[across: number, down: number]} pace  of its middle, pixels a second
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
    return time - this.searched >= 2 * this.settings.still;
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
    const pairs = this.#pairs(large, time);
    const followed = new Set(pairs.values());
    const kept = this.all
      .map((track) => this.#follow(track, pairs.get(track.number), time));
    const fresh = large.filter((face) => !followed.has(face)).map((face) => this.#begin(face, time));
    const seen = [...kept, ...fresh].filter((track) => !track.missed).map((track) => track.box);
    this.all = [...kept.filter((track) => this.#lives(track, time, seen)), ...fresh];
  }

  /**
   * The detection of each continued track, best overlaps first.
   *
   * @param {Detection[]} detections
   * @param {number} time  seconds
   * @returns {Map<number, Detection>}
   */
  #pairs(detections, time) {
    const overlaps = this.all.flatMap((track) => detections.map((face) => (
      { number: track.number, face, shared: overlap(this.expected(track, time), face.box) }
    )));
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
      pace: paceOf(track, face.box, time),
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
    const confirmed = this.#convinces(begun);
    return { ...begun, seen: time, missed: false, confirmed, pace: [0, 0] };
  }

  /**
   * @param {Track} track
   * @param {number} time
   * @param {Box[]} seen  the faces that are seen now
   */
  #lives(track, time, seen) {
    if (!track.missed) return true;
    const box = this.expected(track, time);
    const behind = seen.some((other) => intersection(box, other) > 0);
    const patience = Math.max(behind ? this.settings.hidden : 0, this.settings.patience);
    return track.confirmed && time - track.seen < patience;
  }

  /**
   * Where a face is at a time if it went on as it did.
   *
   * @param {Track} track
   * @param {number} time
   * @returns {Box}
   */
  expected({ box, seen, pace }, time) {
    const passed = Math.min(time - seen, this.settings.farthest);
    return { ...box, left: box.left + passed * pace[0], top: box.top + passed * pace[1] };
  }
}

/**
 * How fast a face moves that is at `box` now, half of it by this step alone.
 *
 * @param {Track} track
 * @param {Box} box
 * @param {number} time
 * @returns {[across: number, down: number]}
 */
function paceOf(track, box, time) {
  const passed = time - track.seen;
  if (passed <= 0) return track.pace;
  const across = box.left + box.width / 2 - track.box.left - track.box.width / 2;
  const down = box.top + box.height / 2 - track.box.top - track.box.height / 2;
  return [(track.pace[0] + across / passed) / 2, (track.pace[1] + down / passed) / 2];
}

/** The page reports the moods that the device reports: the filter, unknown and why, tracks. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { noise, page, vectors } from "./given.js";

const { Mood } = await page("mood.js");
const { FrameAnalyzer } = await page("analyzer.js");
const { FrameRate } = await page("frame_rate.js");
const { softmax } = await page("classifier.js");
const { missingFeature } = await page("support.js");
const { contract } = vectors;

test("one face over ten seconds has the device's moods", () => {
  const mood = new Mood(contract.labels, contract.mood);
  for (const { time, reading, wanted: [label, reason, confidence] } of vectors.mood) {
    if (typeof reading === "string") mood.miss(reading, time);
    else mood.update(reading, time);
    assert.deepEqual([time, mood.label, mood.reason], [time, label, reason]);
    assert.ok(Math.abs(mood.confidence - confidence) < 1e-9, `${time}: ${mood.confidence}, ${confidence}`);
  }
});

test("frames with several faces are reported as the device reports them", async () => {
  const [{ detections, rows, frames }] = vectors.analysis;
  const script = new Script(detections, rows);
  const analyzer = new FrameAnalyzer(script, script, contract);
  for (const { time, seed, wanted: [faces, mood, reason, confidence, looks] } of frames) {
    script.next();
    const report = await analyzer.process(noise(seed, 320, 240, [40, 220]), time);
    const found = [report.faces, report.mood, report.reason, Number(report.detected)];
    assert.deepEqual([time, ...found], [time, faces, mood, reason, looks]);
    if (confidence !== null) assert.ok(Math.abs(report.confidence - confidence) < 1e-5, `at ${time}`);
  }
});

/** Detector and classifier that do what they were told to, as scripted.py has them. */
class Script {
  /**
   * @param {number[][][]} detections
   * @param {number[][]} rows
   */
  constructor(detections, rows) {
    this.detections = detections;
    this.rows = rows;
    this.looks = 0;
    this.reads = 0; // frames in which faces were read: all of one get the same answer
    this.fresh = true;
  }

  next() {
    this.fresh = true;
  }

  async watch() {
    const faces = this.detections[Math.min(this.looks++, this.detections.length - 1)];
    return faces.map(([left, top, width, height, score, turn]) => (
      { box: { left, top, width, height }, score, turn }
    ));
  }

  async classify() {
    if (this.fresh) this.reads++;
    this.fresh = false;
    const row = this.rows[Math.min(this.reads, this.rows.length) - 1];
    return softmax(row.map((share) => Math.log(Math.max(share, 1e-6))), 1);
  }
}

test("frames are looked at as often as the device would", () => {
  const rate = new FrameRate({ idle: 2, active: 15, linger: 10 });
  const looked = (/** @type {number} */ from, /** @type {number} */ to) => {
    let count = 0;
    for (let frame = from * 60; frame < to * 60; frame++) count += Number(rate.due(frame / 60));
    return count;
  };
  assert.ok(Math.abs(looked(0, 10) - 20) <= 1);
  rate.onFace(true, 10);
  assert.ok(Math.abs(looked(10, 20) - 150) <= 2);
  assert.ok(Math.abs(looked(21, 31) - 20) <= 1);
});

test("what a browser lacks is named", () => {
  const whole = {
    isSecureContext: true, navigator: { mediaDevices: { getUserMedia() {} } }, WebAssembly, DecompressionStream,
  };
  assert.equal(missingFeature(whole), null);
  assert.equal(missingFeature({ ...whole, isSecureContext: false }), "insecure");
  assert.equal(missingFeature({ ...whole, navigator: {} }), "absent");
  assert.equal(missingFeature({ ...whole, WebAssembly: { validate: () => false } }), "simd");
  assert.equal(missingFeature({ ...whole, WebAssembly: undefined }), "simd");
  assert.equal(missingFeature({ ...whole, DecompressionStream: undefined }), "unpack");
});

test("a model's own labels have its colours and names", async () => {
  const own = { tag: "de", moods: { "Bored Stiff": "gelangweilt" }, colours: { "😀": "#ffcc00", happy: "#000001" } };
  Object.assign(globalThis, {
    fetch: async () => ({ ok: true, json: async () => own }),
    document: { documentElement: {}, querySelectorAll: () => [] },
  });
  const { lookFor, moodName } = await page("moods.js");
  const before = lookFor("happy");
  await (await page("texts.js")).loadTexts();
  assert.deepEqual(lookFor("😀").near, [255, 204, 0]);
  assert.deepEqual([lookFor("happy").near, lookFor("happy").sway], [[0, 0, 1], before.sway]);
  assert.notDeepEqual(lookFor("Bored Stiff").near, lookFor("Überrascht").near);
  for (const mood of ["😀", "happy", "Bored Stiff"]) {
    assert.equal(lookFor(mood), lookFor(mood), "the halo would add a layer with each report");
  }
  assert.deepEqual([moodName("Bored Stiff"), moodName("😀")], ["gelangweilt", "😀"]);
});

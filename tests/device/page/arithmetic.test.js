/** The page's arithmetic says what the device's Python says: frames to the bit. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { digest, noise, page, vectors } from "./given.js";

const { toGrey } = await page("pixels.js");
const { shrink } = await page("resizing.js");
const { cropFace, quantizeLevels } = await page("face_crop.js");
const { BlazeFace, letterbox, turnOf } = await page("blazeface.js");
const { FaceSearch, smallestTiles } = await page("search.js");
const { decoded, logitsOf, softmax } = await page("classifier.js");
const { lightened, rejectionReason, sharpness } = await page("quality.js");
const { Motion } = await page("motion.js");
const { contract } = vectors;

/** @type {(sides: number[]) => { left: number, top: number, width: number, height: number }} */
function boxOf([left, top, width, height]) {
  return { left, top, width, height };
}

/** @type {(face: { box: number[] }) => object} */
function faceOf(face) {
  return { ...face, box: boxOf(face.box) };
}

/** @type {(found: number, wanted: number, within: number) => void} */
function near(found, wanted, within) {
  assert.ok(Math.abs(found - wanted) <= within, `${found} is not ${wanted}`);
}

test("grey levels are OpenCV's", () => {
  for (const { seed, width, height, wanted } of vectors.grey) {
    assert.equal(digest(toGrey(noise(seed, width, height)).data), wanted);
  }
});

for (const { seed, width, height, to_width: across, to_height: down, wanted } of vectors.shrink) {
  test(`${width}x${height} shrinks to ${across}x${down} as by INTER_AREA`, () => {
    const { data, channels } = shrink(noise(seed, width, height), across, down);
    assert.equal(digest(data, channels), wanted);
  });
}

for (const { seed, width, height, box, margin, wanted } of vectors.face_crop) {
  test(`the face crop of ${box} with a margin of ${margin} is the device's`, () => {
    const [left, top, wide, high] = box;
    const place = { left, top, width: wide, height: high };
    const crop = cropFace(noise(seed, width, height), place, { size: 48, margin });
    assert.equal(digest(crop.data), wanted);
  });
}

test("the detector's square is the device's", () => {
  for (const { seed, width, height, place, wanted } of vectors.letterbox) {
    const reals = letterbox(noise(seed, width, height), boxOf(place), contract.far.size);
    assert.equal(digest(Array.from(reals, (real) => Math.round((real + 1) * 127.5))), wanted);
  }
});

test("squares wholly outside the frame are not looked at, those at its edge are", async () => {
  const blank = noise(1, vectors.outside[0].width, vectors.outside[0].height);
  for (const { place, wanted } of vectors.outside) {
    let runs = 0;
    const model = {
      run: async () => {
        runs += 1;
        return [new Float32Array(4).fill(-9), new Float32Array(64)];
      },
    };
    assert.deepEqual(await new BlazeFace(model, contract.far).look(blank, boxOf(place)), []);
    assert.equal(runs, wanted, `${place}`);
  }
});

test("frames are tiled as on the device", () => {
  for (const { width, height, wanted } of vectors.tiles) {
    assert.deepEqual(smallestTiles({ width, height }, contract.search), wanted.map(boxOf));
  }
});

test("the same squares are searched, and the same faces told", async () => {
  const { steps, width, height } = vectors.search;
  /** @type {unknown[]} */
  let looked = [];
  /** @type {(name: string) => { look: (pixels: unknown, place: unknown) => Promise<unknown[]> }} */
  const scripted = (name) => ({
    look: async (_, place) => {
      looked.push([name, place]);
      return (answers[name]?.shift() ?? []).map(faceOf);
    },
  });
  /** @type {Record<string, { box: number[] }[][]>} */
  let answers = {};
  const found = new FaceSearch(scripted("far"), scripted("near"), contract.search);
  for (const step of steps) {
    [looked, answers] = [[], structuredClone(step.answers)];
    const faces = await found.watch(noise(1, width, height), step.known.map(boxOf), step.search);
    assert.deepEqual(looked, step.looked.map(([name, place]) => [name, boxOf(place)]));
    assert.deepEqual(faces, step.wanted.map(faceOf));
  }
});

test("grey levels become the input's counts", () => {
  for (const { wanted, ...affine } of vectors.counts) {
    assert.deepEqual(Array.from(quantizeLevels(affine)), wanted);
  }
});

test("counts become calibrated probabilities", () => {
  for (const { counts, temperature, wanted, ...affine } of vectors.softmax) {
    const found = softmax(logitsOf(Int8Array.from(counts), affine), temperature);
    found.forEach((/** @type {number} */ share, /** @type {number} */ at) => near(share, wanted[at], 1e-6));
  }
});

test("one head or both give the same probabilities", () => {
  for (const { heads, terms, temperature, wanted } of vectors.decoded) {
    const found = softmax(decoded(heads, terms), temperature);
    found.forEach((/** @type {number} */ share, /** @type {number} */ at) => near(share, wanted[at], 1e-6));
  }
});

test("the same faces cannot be read, for the same reason", () => {
  for (const { face_crop: crop, side, turn, sharpness: sharp, wanted, read } of vectors.quality) {
    const pixels = { data: Uint8Array.from(Buffer.from(crop, "base64")), width: 48, height: 48, channels: 1 };
    assert.equal(rejectionReason(pixels, side, turn, contract.quality, contract.white), wanted);
    near(sharpness(pixels), sharp, 1e-4 * sharp);
    assert.equal(Buffer.from(lightened(pixels, contract.flat).data).toString("base64"), read);
  }
});

test("the same pictures have moved", () => {
  const motion = new Motion(contract.motion);
  for (const { seed, step, faces, wanted } of vectors.motion) {
    const pixels = noise(seed, 640, 480);
    brighten(pixels, step);
    assert.equal(motion.moved(pixels, faces.map(boxOf)), wanted);
    motion.mark();
  }
});

/**
 * The 200 by 200 pixels at the top left.
 *
 * @param {ReturnType<typeof noise>} pixels
 * @param {number} step
 */
function brighten({ data, width }, step) {
  for (let y = 0; y < 200; y++) {
    for (let at = y * width * 4; at < (y * width + 200) * 4; at++) {
      data[at] = Math.min(255, data[at] + step);
    }
  }
}

test("a face turns as far", () => {
  for (const { points, wanted } of vectors.turn) near(turnOf(Float32Array.from(points)), wanted, 1e-5);
});

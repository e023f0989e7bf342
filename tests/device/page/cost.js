/**
 * What the parts of one frame cost of a core: `EDGEFER_PAGE=FOLDER node cost.js`, as phone_speed.py runs it.
 *
 * In node a process's own CPU time can be told, which other work on the machine does not change.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gunzipSync } from "node:zlib";

import { noise, page } from "./given.js";

const [WARM, COUNTED] = [30, 60];
const FACE = { left: 200, top: 80, width: 150, height: 150 };

// The glue was written for a classic script of node's.
Object.assign(globalThis, { require: createRequire(import.meta.url), __filename: "", __dirname: "." });

/** @param {string} name */
function read(name) {
  return readFileSync(`${process.env.EDGEFER_PAGE}/${name}`);
}

const contract = JSON.parse(read("contract.json").toString());
const { Runtime } = await page("runtime.js");
const { BlazeFace, around } = await page("blazeface.js");
const { FaceSearch } = await page("search.js");
const { Classifier } = await page("classifier.js");
const { Motion } = await page("motion.js");
const { cropFace } = await page("face_crop.js");
const glue = await page("litert.js");

const runtime = await Runtime.open(glue.default, gunzipSync(read(contract.files.runtime)));
/** @param {"far" | "near"} which */
const blazeface = async (which) =>
  new BlazeFace(await runtime.load(gunzipSync(read(contract.files[which]))), contract[which]);
const detector = new FaceSearch(await blazeface("far"), await blazeface("near"), contract.search);
const classifier = new Classifier(await runtime.load(gunzipSync(read(contract.files.classifier))), contract);
const motion = new Motion(contract.motion);
const pixels = noise(1, 640, 480);

/** @type {Record<string, () => unknown>} */
const parts = {
  "has anything moved": () => motion.moved(pixels, []),
  "look for faces": () => detector.far.look(pixels, around(pixels, 1)),
  "follow one face": () => detector.near.look(pixels, detector.followed(FACE)),
  "read one face": () => classifier.classify(cropFace(pixels, FACE, contract.preprocess)),
};
for (const [name, part] of Object.entries(parts)) {
  for (let call = 0; call < WARM; call++) await part();
  const before = process.cpuUsage();
  for (let call = 0; call < COUNTED; call++) await part();
  const { user, system } = process.cpuUsage(before);
  console.log(`${name.padEnd(18)} ${((user + system) / 1000 / COUNTED).toFixed(1)} ms of a core`);
}

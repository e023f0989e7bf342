// @ts-check
/** The page's heavy files: fetched, unpacked, and made into a frame analyzer. */

import { FrameAnalyzer } from "./analyzer.js";
import { BlazeFace } from "./blazeface.js";
import { Classifier } from "./classifier.js";
import { loadContract } from "./contract.js";
import { Runtime } from "./runtime.js";
import { FaceSearch } from "./search.js";

/** @returns {Promise<FrameAnalyzer>} */
export async function createAnalyzer() {
  const contract = await loadContract();
  const { detector, classifier } = await openModels(contract);
  return new FrameAnalyzer(detector, classifier, contract);
}

/** @param {import("./contract.js").Contract} contract */
export async function openModels(contract) {
  const { files } = contract;
  const [glue, wasm, far, near, expressions] = await Promise.all([
    import("./litert.js"), unpacked(files.runtime), unpacked(files.far), unpacked(files.near),
    unpacked(files.classifier),
  ]);
  const runtime = await Runtime.open(glue.default, wasm);
  return {
    detector: new FaceSearch(
      new BlazeFace(await runtime.load(far), contract.far),
      new BlazeFace(await runtime.load(near), contract.near),
      contract.search,
    ),
    classifier: new Classifier(await runtime.load(expressions), contract),
  };
}

/**
 * @param {string} name  of a file packed by gzip
 * @returns {Promise<Uint8Array>}
 */
async function unpacked(name) {
  const response = await fetch(name);
  if (!response.ok || !response.body) throw new Error(`${name}: ${response.status}`);
  const stream = response.body.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

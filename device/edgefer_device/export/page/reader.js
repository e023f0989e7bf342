// @ts-check
/** The worker that reads frames, so that the page itself never waits. */

import { assemble } from "./parts.js";

/** @typedef {import("./worker_messages.js").Frame} Frame */
/** @typedef {import("./worker_messages.js").Answer} Answer */

const worker = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @param {Answer} answer */
function tell(answer) {
  worker.postMessage(answer);
}

/** @param {unknown} error */
function fail(error) {
  tell({ type: "failed", words: String(error) });
}

/**
 * @param {import("./analysis.js").Analyst} analyst
 * @param {Frame} frame
 */
async function look(analyst, { data, width, height, time }) {
  const begun = performance.now();
  const report = await analyst.look({ data: new Uint8Array(data), width, height, channels: 4 }, time);
  tell({ type: "report", took: performance.now() - begun, ...report });
}

assemble().then((analyst) => {
  worker.onmessage = ({ data }) => void look(analyst, data).catch(fail);
  tell({ type: "ready" });
}, fail);

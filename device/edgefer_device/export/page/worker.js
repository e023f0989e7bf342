// @ts-check
/** The worker that analyzes frames, so that the page itself never waits. */

import { createAnalyzer } from "./models.js";

/** @typedef {import("./worker_messages.js").Frame} Frame */
/** @typedef {import("./worker_messages.js").WorkerMessage} WorkerMessage */

const worker = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @param {WorkerMessage} message */
function post(message) {
  worker.postMessage(message);
}

/** @param {unknown} error */
function fail(error) {
  post({ type: "failed", reason: String(error) });
}

/**
 * @param {import("./analyzer.js").FrameAnalyzer} analyzer
 * @param {Frame} frame
 */
async function analyze(analyzer, { data, width, height, time }) {
  const begun = performance.now();
  const report = await analyzer.process({ data: new Uint8Array(data), width, height, channels: 4 }, time);
  post({ type: "report", took: performance.now() - begun, ...report });
}

createAnalyzer().then((analyzer) => {
  worker.onmessage = ({ data }) => void analyze(analyzer, data).catch(fail);
  post({ type: "ready" });
}, fail);

// @ts-check
/**
 * The messages between the page, its worker and its service worker.
 *
 * @typedef {object} Frame  from the page to reader.js
 * @property {ArrayBuffer} data  red, green, blue and one unused byte a pixel
 * @property {number} width
 * @property {number} height
 * @property {number} time  seconds
 *
 * @typedef {{ type: "ready" }} Ready  from reader.js, once
 * @typedef {{ type: "failed", reason: string }} Failed  from reader.js: it has stopped
 * @typedef {{ type: "report", took: number } & import("./analyzer.js").Report} AnalysisReport  took: ms
 * @typedef {Ready | Failed | AnalysisReport} WorkerMessage
 *
 * @typedef {{ type: "kept", bytes: number, total: number }} Kept  from service.js, of each file
 * @typedef {{ type: "unkept", problem: "storage" | "network" }} Unkept  from service.js
 */
export {};

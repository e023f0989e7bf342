// @ts-check
/**
 * What the page, its reading worker and its service worker say to one another.
 *
 * @typedef {object} Frame  from the page to reader.js
 * @property {ArrayBuffer} data  red, green, blue and one unused byte a pixel
 * @property {number} width
 * @property {number} height
 * @property {number} time  seconds
 *
 * @typedef {{ type: "ready" }} Ready  from reader.js, once
 * @typedef {{ type: "failed", words: string }} Failed  from reader.js: it reads no more
 * @typedef {{ type: "report", took: number } & import("./analysis.js").Report} Told  took: ms
 * @typedef {Ready | Failed | Told} Answer
 *
 * @typedef {{ type: "kept", bytes: number, total: number }} Kept  from service.js, of each file
 * @typedef {{ type: "unkept", problem: "storage" | "network" }} Unkept  from service.js
 */
export {};

// @ts-check
/** What the middle of a page shows: a halo, a word and a line below it. */

import { Halo } from "./halo.js";
import { AT_REST, css, lookFor, paintOf, wordFor } from "./moods.js";
import { widthOf, wordOf } from "./texts.js";

/** @typedef {import("./moods.js").Look} Look */

/**
 * @typedef {object} Scene
 * @property {string} state  what kind of scene it is, for the style sheet
 * @property {string} words
 * @property {string} detail
 * @property {Look} look
 * @property {number} sure  0..1, the length of the arc
 *
 * @typedef {object} Seen  what is in front of the camera
 * @property {string | null} mood  null: no face
 * @property {number | null} confidence  0..1
 * @property {string} [reason]  why the mood is unknown
 */

/**
 * @template {Element} E
 * @param {string} selector
 * @returns {E}
 */
export function find(selector) {
  const element = document.querySelector(selector);
  if (!element) throw new Error(`index.html has no ${selector}`);
  return /** @type {E} */ (element);
}

export class Stage {
  constructor() {
    this.mood = /** @type {HTMLElement} */ (find("#mood"));
    this.detail = /** @type {HTMLElement} */ (find("#detail"));
    this.halo = new Halo(find("#halo"));
  }

  /** @param {Scene} scene */
  show(scene) {
    const { body } = document;
    const { near, far } = paintOf(scene.look);
    body.dataset.state = scene.state;
    body.style.setProperty("--near", css(near));
    body.style.setProperty("--far", css(far));
    body.style.setProperty("--sure", String(Math.round(1000 * scene.sure) / 10));
    body.style.setProperty("--letters", String(Math.max(5, widthOf(scene.words))));
    this.#say(scene.words);
    if (this.detail.textContent !== scene.detail) this.detail.textContent = scene.detail;
    this.halo.show(scene.look);
  }

  /**
   * The words change only when they differ: a screen reader speaks each change.
   *
   * @param {string} words
   */
  #say(words) {
    if (this.mood.textContent === words) return;
    this.mood.textContent = words;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.mood.animate([{ opacity: 0, filter: "blur(0.12em)" }, { opacity: 1, filter: "blur(0)" }], {
      duration: 900, easing: "ease-out",
    });
  }
}

/**
 * A scene in which no mood is said.
 *
 * @param {string} state
 * @param {string} words
 * @param {string} [detail]
 * @returns {Scene}
 */
export function quiet(state, words, detail = "") {
  return { state, words, detail, look: AT_REST, sure: 0 };
}

/**
 * @param {Seen} seen  with a mood
 * @returns {Scene}
 */
export function sceneOf(seen) {
  const mood = seen.mood ?? "unknown";
  const unsure = mood === "unknown";
  const sure = unsure ? 0 : seen.confidence ?? 0;
  return {
    state: unsure ? "unsure" : "mood",
    words: wordFor(mood),
    detail: unsure ? wordOf("reasons", seen.reason ?? "unsure") : `${Math.round(100 * sure)} %`,
    look: lookFor(mood),
    sure,
  };
}

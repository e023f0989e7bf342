// @ts-check
/** The scene in the middle of a page: a halo, a word and a line below it. */

import { Halo } from "./halo.js";
import { IDLE_LOOK, css, lookFor, colorsOf, moodName } from "./moods.js";
import { widthOf, lookUp } from "./texts.js";

/** @typedef {import("./moods.js").Look} Look */

/**
 * @typedef {object} Scene
 * @property {string} state  kind of scene, for the style sheet
 * @property {string} words
 * @property {string} detail
 * @property {Look} look
 * @property {number} sure  0..1, the length of the arc
 *
 * @typedef {object} Reading  what the camera sees
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
    const { near, far } = colorsOf(scene.look);
    body.dataset.state = scene.state;
    body.style.setProperty("--near", css(near));
    body.style.setProperty("--far", css(far));
    body.style.setProperty("--sure", String(Math.round(1000 * scene.sure) / 10));
    body.style.setProperty("--letters", String(Math.max(5, widthOf(scene.words))));
    this.#setWords(scene.words);
    if (this.detail.textContent !== scene.detail) this.detail.textContent = scene.detail;
    this.halo.show(scene.look);
  }

  /**
   * Change the words only when they differ: a screen reader reads out each change.
   *
   * @param {string} words
   */
  #setWords(words) {
    if (this.mood.textContent === words) return;
    this.mood.textContent = words;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.mood.animate([{ opacity: 0, filter: "blur(0.12em)" }, { opacity: 1, filter: "blur(0)" }], {
      duration: 900, easing: "ease-out",
    });
  }
}

/**
 * A scene without a mood.
 *
 * @param {string} state
 * @param {string} words
 * @param {string} [detail]
 * @returns {Scene}
 */
export function plainScene(state, words, detail = "") {
  return { state, words, detail, look: IDLE_LOOK, sure: 0 };
}

/**
 * @param {Reading} reading  with a mood
 * @returns {Scene}
 */
export function sceneOf(reading) {
  const mood = reading.mood ?? "unknown";
  const unsure = mood === "unknown";
  const sure = unsure ? 0 : reading.confidence ?? 0;
  return {
    state: unsure ? "unsure" : "mood",
    words: moodName(mood),
    detail: unsure ? lookUp("reasons", reading.reason ?? "unsure") : `${Math.round(100 * sure)} %`,
    look: lookFor(mood),
    sure,
  };
}

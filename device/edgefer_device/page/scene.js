// @ts-check
/** The scene in the middle of a page: a halo, a word and a line below it. */

import { glyphOf } from "./glyphs.js";
import { Halo } from "./halo.js";
import { IDLE_LOOK, css, lookFor, colorsOf, moodName } from "./moods.js";
import { widthOf, lookUp } from "./texts.js";

/** @typedef {import("./moods.js").Look} Look */

/**
 * @typedef {object} Scene
 * @property {string} state  kind of scene, for the style sheet
 * @property {string} words
 * @property {string} detail
 * @property {string | null} mood  whose glyph stands beside the words
 * @property {string[]} people  of two or more, each one's mood: they stand for the detail
 * @property {Look} look
 * @property {number} sure  0..1, the length of the arc
 *
 * @typedef {object} Reading  what the camera sees
 * @property {string | null} mood  null: no face
 * @property {number | null} confidence  0..1
 * @property {string} [reason]  why the mood is unknown
 * @property {string[]} [moods]  of two people or more, each one's
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
    body.style.setProperty("--letters", String(lettersOf(scene)));
    body.toggleAttribute("data-several", scene.people.length > 1);
    this.#setWords(scene);
    this.#setDetail(scene);
    this.halo.show(scene.look, scene.people.map(lookFor));
  }

  /** @param {Scene} scene */
  #setDetail({ detail, people }) {
    const several = people.length > 1;
    const shown = several ? people.join(" ") : detail;
    if (this.detail.dataset.shown === shown) return;
    this.detail.dataset.shown = shown;
    this.detail.replaceChildren(...(several ? people.map(person) : [detail]));
  }

  /**
   * Change the words only when they differ: a screen reader reads out each change.
   *
   * @param {Scene} scene
   */
  #setWords({ words, mood }) {
    if (this.mood.textContent === words && this.mood.dataset.mood === (mood ?? "")) return;
    this.mood.dataset.mood = mood ?? "";
    this.mood.replaceChildren(...(mood ? [glyphOf(mood)] : []), words);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.mood.animate([{ opacity: 0, filter: "blur(0.12em)" }, { opacity: 1, filter: "blur(0)" }], {
      duration: 900, easing: "ease-out",
    });
  }
}

/**
 * The room that words need, in letters; a glyph takes two.
 *
 * @param {Scene} scene
 */
function lettersOf({ words, mood }) {
  return Math.max(5, widthOf(words)) + (mood ? 2 : 0);
}

/** @param {string} mood */
function person(mood) {
  const one = document.createElement("span");
  one.style.setProperty("--mood", css(colorsOf(lookFor(mood)).near));
  one.append(glyphOf(mood), moodName(mood));
  return one;
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
  return { state, words, detail, mood: null, people: [], look: IDLE_LOOK, sure: 0 };
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
    mood,
    people: reading.moods ?? [],
    look: lookFor(mood),
    sure,
  };
}

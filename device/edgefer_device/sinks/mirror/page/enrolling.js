// @ts-check
/** An enrollment on the page: the look that is asked for, and for a while how it ended. */

import { lookFor, moodName } from "./moods.js";
import { plainScene } from "./scene.js";
import { lookUp, text } from "./texts.js";

/** @typedef {import("./messages.js").Enrollment} Enrollment */
/** @typedef {import("./scene.js").Scene} Scene */

const LINGER = 8_000; // ms for which the end stays

export class Enrolling {
  /**
   * @param {HTMLButtonElement} button  starts and stops it
   * @param {{ send: (command: string) => void, onChange: () => void }} handlers
   */
  constructor(button, { send, onChange }) {
    this.button = button;
    this.onChange = onChange;
    this.running = false;
    /** What is shown in place of the mood. @type {Scene | null} */
    this.scene = null;
    this.end = 0;
    button.onclick = () => send(this.running ? "stop" : "enroll");
  }

  /** @param {Enrollment | null} state */
  update(state) {
    clearTimeout(this.end);
    this.running = Boolean(state?.look);
    this.scene = state && sceneOfState(state);
    this.button.textContent = text(this.running ? "enroll_stop" : "enroll");
    if (this.scene && !this.running) this.end = setTimeout(() => this.update(null), LINGER);
    this.onChange();
  }
}

/**
 * @param {Enrollment} state
 * @returns {Scene | null}
 */
function sceneOfState({ look, number, count, share, problem, outcome }) {
  if (look === null) {
    return outcome === null ? null : plainScene("waiting", text("enroll"), wordsOf(outcome));
  }
  return {
    state: "mood",
    words: moodName(look),
    detail: problem === null
      ? text(share ? "enroll_hold" : "enroll_ready", { number, count }) : wordsOf(problem),
    mood: look,
    people: [],
    look: lookFor(look),
    sure: share,
  };
}

/** @param {string} key  an outcome, a problem, or a reason of a reading */
function wordsOf(key) {
  const own = lookUp("enrollments", key);
  return own === key ? lookUp("reasons", key) : own;
}

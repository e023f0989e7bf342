// @ts-check
/** The greeting: shown to whoever comes, then hidden. */

import { text, lookUp } from "./texts.js";

const ABSENCE = 30_000; // ms without a face, after which the next one is greeted
const SHOWN = 20_000; // ms
const [MORNING, DAY, EVENING] = [5, 11, 18]; // o'clock

export class Greeting {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.name = "";
    this.enabled = false;
    this.left = -ABSENCE; // ms: when the last face went
    this.present = false;
    this.timer = 0;
  }

  /**
   * @param {boolean} enabled
   * @param {string} name  whom to greet; empty: nobody by name
   */
  configure(enabled, name) {
    this.enabled = enabled;
    this.name = name;
    if (!enabled) this.#hide();
  }

  /**
   * @param {boolean} somebody  is in view now
   */
  update(somebody) {
    const now = performance.now();
    if (somebody && !this.present && this.enabled && now - this.left >= ABSENCE) this.#show();
    if (this.present && !somebody) this.left = now;
    this.present = somebody;
  }

  #show() {
    this.element.textContent = greetingAt(new Date().getHours(), this.name);
    this.element.dataset.shown = "";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#hide(), SHOWN);
  }

  #hide() {
    delete this.element.dataset.shown;
  }
}

/**
 * @param {number} hour  0..23
 * @param {string} name
 * @returns {string}
 */
function greetingAt(hour, name) {
  const part = hour < MORNING || hour >= EVENING ? "evening" : hour < DAY ? "morning" : "day";
  const greeting = lookUp("greetings", part);
  return name ? text("greeting_named", { greeting, name }) : greeting;
}

// @ts-check
/** The greeting: said to whoever comes, and then silent. */

import { text, wordOf } from "./texts.js";

const ABSENCE = 30_000; // ms without anybody, after which whoever is there has come
const SHOWN = 20_000; // ms
const [MORNING, DAY, EVENING] = [5, 11, 18]; // o'clock

export class Greeting {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.name = "";
    this.wanted = false;
    this.left = -ABSENCE; // ms: when the last face went
    this.there = false;
    this.timer = 0;
  }

  /**
   * @param {boolean} wanted
   * @param {string} name  whom to greet; empty: nobody by name
   */
  settle(wanted, name) {
    this.wanted = wanted;
    this.name = name;
    if (!wanted) this.#hide();
  }

  /**
   * @param {boolean} somebody  is in view now
   */
  see(somebody) {
    const now = performance.now();
    if (somebody && !this.there && this.wanted && now - this.left >= ABSENCE) this.#show();
    if (this.there && !somebody) this.left = now;
    this.there = somebody;
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
  const greeting = wordOf("greetings", part);
  return name ? text("greeting_named", { greeting, name }) : greeting;
}

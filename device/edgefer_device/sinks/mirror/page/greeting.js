// @ts-check
/** The words for whoever comes; the style sheet shows them while `body[data-arrival]`. */

import { text, lookUp } from "./texts.js";

const [MORNING, DAY, EVENING] = [5, 11, 18]; // o'clock

/**
 * @param {string} name  whom to greet; empty: nobody by name
 * @returns {string}
 */
export function greeting(name) {
  const hour = new Date().getHours();
  const part = hour < MORNING || hour >= EVENING ? "evening" : hour < DAY ? "morning" : "day";
  const words = lookUp("greetings", part);
  return name ? text("greeting_named", { greeting: words, name }) : words;
}

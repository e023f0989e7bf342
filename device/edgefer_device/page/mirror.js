// @ts-check
/** The mirror page: what the server says, shown. */

import { runClock } from "./clock.js";
import { Connection } from "./connection.js";
import { Halo } from "./halo.js";
import { AT_REST, css, lookFor, wordFor } from "./moods.js";
import { Ribbon } from "./ribbon.js";
import { Week } from "./week.js";

/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Line} Line */
/** @typedef {import("./messages.js").View} View */
/** @typedef {import("./moods.js").Look} Look */

/**
 * What the middle of the page shows.
 *
 * @typedef {object} Scene
 * @property {"connecting" | "lost" | "waiting" | "nobody" | "unsure" | "mood"} state
 * @property {string} words
 * @property {string} detail
 * @property {Look} look
 * @property {number} sure  0..1, the length of the arc
 */

/** Seconds without a report until the page says so. */
const PATIENCE = 5;

/**
 * @template {Element} E
 * @param {string} selector
 * @returns {E}
 */
function find(selector) {
  const element = document.querySelector(selector);
  if (!element) throw new Error(`index.html has no ${selector}`);
  return /** @type {E} */ (element);
}

const mood = /** @type {HTMLElement} */ (find("#mood"));
const detail = /** @type {HTMLElement} */ (find("#detail"));
const halo = new Halo(find("#halo"));
const ribbon = new Ribbon(find("#ribbon"));
const week = new Week(find("#week"), find("#open-week"));
const content = /** @type {HTMLElement} */ (find("#content"));
const notice = /** @type {HTMLElement} */ (find("#notice"));
const promise = notice.textContent; // what holds always
let silent = 0; // ticks without a report

/** @type {Scene} */
const CONNECTING = { state: "connecting", words: "", detail: "connecting", look: AT_REST, sure: 0 };
/** @type {Scene} */
const LOST = {
  state: "lost", words: "connection lost", detail: "reconnecting", look: AT_REST, sure: 0,
};
/** @type {Scene} */
const WAITING = {
  state: "waiting", words: "no picture", detail: "waiting for the camera", look: AT_REST, sure: 0,
};
/** @type {Scene} */
const NOBODY = { state: "nobody", words: "no one in view", detail: "", look: AT_REST, sure: 0 };

/**
 * @param {View} view
 * @returns {Scene}
 */
function sceneOf(view) {
  if (view.mood === null) return NOBODY;
  const unsure = view.mood === "unknown";
  const sure = unsure ? 0 : view.confidence ?? 0;
  return {
    state: unsure ? "unsure" : "mood",
    words: wordFor(view.mood),
    detail: unsure ? "" : `${Math.round(100 * sure)} %`,
    look: lookFor(view.mood),
    sure,
  };
}

/** @param {Scene} scene */
function show(scene) {
  const { body } = document;
  body.dataset.state = scene.state;
  body.style.setProperty("--near", css(scene.look.near));
  body.style.setProperty("--far", css(scene.look.far));
  body.style.setProperty("--sure", String(Math.round(1000 * scene.sure) / 10));
  body.style.setProperty("--letters", String(Math.max(5, scene.words.length)));
  say(scene.words);
  detail.textContent = scene.detail;
  halo.show(scene.look);
}

/**
 * The words change only when they differ: a screen reader speaks each change.
 *
 * @param {string} words
 */
function say(words) {
  if (mood.textContent === words) return;
  mood.textContent = words;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  mood.animate([{ opacity: 0, filter: "blur(0.12em)" }, { opacity: 1, filter: "blur(0)" }], {
    duration: 900, easing: "ease-out",
  });
}

/**
 * The line that the rules have put up.
 *
 * @param {Line | null} line
 */
function put(line) {
  content.hidden = !line;
  document.body.toggleAttribute("data-content", Boolean(line));
  content.textContent = line?.link ? "" : line?.text ?? "";
  if (!line?.link) return;
  const link = document.createElement("a");
  link.textContent = line.text;
  link.href = line.link;
  link.rel = "noopener noreferrer";
  link.target = "_blank"; // the mirror stays where it is
  content.append(link);
}

/**
 * Whoever stands here must be told what is kept.
 *
 * @param {number} days
 */
function tellKept(days) {
  const kept = days === 1 ? "for a day" : `for ${days} days`;
  notice.textContent = promise + (days
    ? ` How long each was seen is kept here ${kept}.` : "");
  week.offer(days > 0);
}

/** @param {Message} message */
function hear(message) {
  switch (message.type) {
    case "hello":
      silent = 0;
      ribbon.start(message.now, message.span, message.history);
      show(message.view ? sceneOf(message.view) : WAITING);
      put(message.content.line);
      tellKept(message.kept_days);
      break;
    case "view":
      show(sceneOf(message));
      break;
    case "content":
      put(message.line);
      break;
    case "tick":
      silent = message.moment ? 0 : silent + 1;
      ribbon.advance(message.now, message.moment);
      if (silent === PATIENCE) show(WAITING);
      break;
  }
}

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(`${scheme}//${location.host}/ws`, {
  message: hear,
  lost: () => show(LOST),
});

show(CONNECTING);
runClock(find("#clock"), find("#date"));
connection.open();
addEventListener("online", () => connection.hurry());

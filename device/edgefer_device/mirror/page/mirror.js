// @ts-check
/** The mirror page: what the server says, shown. */

import { runClock, setNight } from "./clock.js";
import { Connection } from "./connection.js";
import { Greeting } from "./greeting.js";
import { Halo } from "./halo.js";
import { AT_REST, css, lookFor, wordFor } from "./moods.js";
import { Ribbon } from "./ribbon.js";
import { loadTexts, text, widthOf, wordOf } from "./texts.js";
import { Week } from "./week.js";

/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Hello} Hello */
/** @typedef {import("./messages.js").Line} Line */
/** @typedef {import("./messages.js").View} View */
/** @typedef {import("./moods.js").Look} Look */

/**
 * What the middle of the page shows.
 *
 * @typedef {object} Scene
 * @property {"connecting" | "lost" | "waiting" | "paused" | "nobody" | "unsure" | "mood"} state
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
const greeting = new Greeting(find("#greeting"));
const pauseButton = /** @type {HTMLButtonElement} */ (find("#pause"));
let silent = 0; // ticks without a report
/** What was seen last. @type {View | null} */
let seen = null;
let paused = false;
let keptDays = 0;
/** The language that the page was loaded in. @type {string | null} */
let language = null;

await loadTexts();

/** @type {Scene} */
const CONNECTING = {
  state: "connecting", words: "", detail: text("connecting"), look: AT_REST, sure: 0,
};
/** @type {Scene} */
const LOST = {
  state: "lost", words: text("lost"), detail: text("lost_detail"), look: AT_REST, sure: 0,
};
/** @type {Scene} */
const WAITING = {
  state: "waiting", words: text("waiting"), detail: text("waiting_detail"), look: AT_REST, sure: 0,
};
/** @type {Scene} */
const PAUSED = {
  state: "paused", words: text("paused"), detail: text("paused_detail"), look: AT_REST, sure: 0,
};
/** @type {Scene} */
const NOBODY = { state: "nobody", words: text("nobody"), detail: "", look: AT_REST, sure: 0 };

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
    detail: unsure ? wordOf("reasons", view.reason ?? "unsure") : `${Math.round(100 * sure)} %`,
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
  body.style.setProperty("--letters", String(Math.max(5, widthOf(scene.words))));
  say(scene.words);
  detail.textContent = scene.detail;
  halo.show(scene.look);
  greeting.see(scene.state === "mood" || scene.state === "unsure");
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

/** Whoever stands here must be told what is read and what is kept. */
function tellNotice() {
  const kept = keptDays === 1 ? text("kept_day") : text("kept_days", { days: keptDays });
  const promise = text(paused ? "notice_paused" : "notice");
  notice.textContent = keptDays ? `${promise} ${kept}` : promise;
}

/** @param {boolean} now  whether everything is paused */
function rest(now) {
  paused = now;
  pauseButton.hidden = false;
  pauseButton.textContent = text(paused ? "resume" : "pause");
  tellNotice();
}

function askForPause() {
  connection.tell({ wish: paused ? "resume" : "pause" });
}

/** @param {Hello} hello */
function begin(hello) {
  const { settings } = hello;
  if (language !== null && language !== settings.language) return location.reload();
  language = settings.language;
  silent = 0;
  seen = hello.view;
  keptDays = hello.kept_days;
  setNight(settings.evening, settings.morning);
  runClock(find("#clock"), find("#date"));
  greeting.settle(settings.greeting, settings.name);
  ribbon.start(hello.now, hello.span, hello.history);
  rest(hello.paused);
  show(paused ? PAUSED : hello.view ? sceneOf(hello.view) : WAITING);
  put(hello.content.line);
  week.offer(keptDays > 0);
}

/** @param {Message} message */
function hear(message) {
  switch (message.type) {
    case "hello":
      begin(message);
      break;
    case "rest":
      silent = 0;
      seen = null;
      rest(message.paused);
      show(paused ? PAUSED : WAITING);
      break;
    case "view":
      seen = message;
      if (!paused) show(sceneOf(message));
      break;
    case "content":
      put(message.line);
      break;
    case "tick":
      // A slow machine may report again what it reported before: that is not told twice.
      if (message.moment && silent >= PATIENCE && seen && !paused) show(sceneOf(seen));
      silent = message.moment ? 0 : silent + 1;
      ribbon.advance(message.now, message.moment);
      if (silent === PATIENCE && !paused) show(WAITING);
      break;
  }
}

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(`${scheme}//${location.host}/ws`, {
  message: hear,
  lost: () => {
    pauseButton.hidden = true; // nobody would hear it
    show(LOST);
  },
});

show(CONNECTING);
runClock(find("#clock"), find("#date"));
connection.open();
addEventListener("online", () => connection.hurry());
pauseButton.onclick = askForPause;
addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat;
  if (event.key.toLowerCase() === "p" && plain && !pauseButton.hidden) askForPause();
});

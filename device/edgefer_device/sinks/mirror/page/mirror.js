// @ts-check
/** The mirror page: what the server says, shown. */

import { runClock, setNight } from "./clock.js";
import { Connection } from "./connection.js";
import { Greeting } from "./greeting.js";
import { Ribbon } from "./ribbon.js";
import { find, quiet, sceneOf, Stage } from "./scene.js";
import { loadTexts, text } from "./texts.js";
import { Week } from "./week.js";

/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Hello} Hello */
/** @typedef {import("./messages.js").Line} Line */
/** @typedef {import("./messages.js").View} View */
/** @typedef {import("./scene.js").Scene} Scene */

/** Seconds without a report until the page says so. */
const PATIENCE = 5;

const stage = new Stage();
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

const CONNECTING = quiet("connecting", "", text("connecting"));
const LOST = quiet("lost", text("lost"), text("lost_detail"));
const WAITING = quiet("waiting", text("waiting"), text("waiting_detail"));
const PAUSED = quiet("paused", text("paused"), text("paused_detail"));
const NOBODY = quiet("nobody", text("nobody"));

/** @param {View} view */
function viewed(view) {
  return view.mood === null ? NOBODY : sceneOf(view);
}

/** @param {Scene} scene */
function show(scene) {
  stage.show(scene);
  greeting.see(scene.state === "mood" || scene.state === "unsure");
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
  show(paused ? PAUSED : hello.view ? viewed(hello.view) : WAITING);
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
      if (!paused) show(viewed(message));
      break;
    case "content":
      put(message.line);
      break;
    case "tick":
      // A slow machine may report again what it reported before: that is not told twice.
      if (message.moment && silent >= PATIENCE && seen && !paused) show(viewed(seen));
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

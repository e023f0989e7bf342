// @ts-check
/** The weekly view: the last seven days by the hour, opened by key, touch, another program, or by itself. */

import { minutesOf, timeWords } from "./clock.js";
import { glyphOf } from "./glyphs.js";
import { css, colorsOf, lookFor, moodName } from "./moods.js";
import { text } from "./texts.js";

/**
 * The server's week, as sinks/mirror/week.py declares it.
 *
 * @typedef {{ mood: string, share: number, minutes: number }} Hour
 *   The mood seen longest, its share of the time with a face (0..1), and that time.
 * @typedef {{ date: string, hours: (Hour | null)[] }} Day  24 hours; null: nobody was seen
 * @typedef {{ days: Day[], minutes: Record<string, number> }} Shares
 *   Seven days, the last is today; and for how long each mood was seen in them.
 */

const KEY = "w";
const IDLE = 180_000; // ms without input until the week closes
const GLANCE = 60_000; // ms, where nobody at the page has opened it
const FULL = 20; // minutes with a face in an hour that give a cell its full light
const LABELLED = 6; // hours between two labels

/** @type {Shares} */
const NOTHING = { days: [], minutes: {} };

export class Week {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {HTMLButtonElement} opener
   */
  constructor(dialog, opener) {
    this.dialog = dialog;
    this.opener = opener;
    this.table = /** @type {HTMLTableElement} */ (dialog.querySelector("table"));
    this.legend = /** @type {HTMLElement} */ (dialog.querySelector(".legend"));
    this.words = /** @type {HTMLElement} */ (dialog.querySelector(".words"));
    this.timer = 0;
    this.at = ""; // when it opens by itself: a day and HH:MM
    this.shown = ""; // the day on which it last did
    opener.onclick = () => this.open();
    // A finger cannot hover: a touched hour says in words what its title does.
    this.table.onclick = ({ target }) => {
      const hour = target instanceof Element && target.closest("td[title]");
      if (hour instanceof HTMLElement) this.words.textContent = hour.title;
    };
    /** @type {HTMLButtonElement} */ (dialog.querySelector("button")).onclick = () => dialog.close();
    dialog.onclose = () => clearTimeout(this.timer);
    for (const event of ["pointerdown", "keydown"]) {
      dialog.addEventListener(event, () => this.#restartTimer());
    }
    addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * Show the week's button only where a history is kept.
   *
   * @param {boolean} kept
   */
  setAvailable(kept) {
    this.opener.hidden = !kept;
    if (!kept) this.dialog.close();
  }

  /** Open for a glance, where there is a week. */
  glance() {
    if (!this.opener.hidden) this.open(GLANCE);
  }

  /** Open by itself when its time has come: once, for whoever is there. */
  glanceWhenDue() {
    const [day, time] = this.at.split(" ");
    const now = new Date();
    const today = now.toDateString();
    const weekday = now.toLocaleDateString("en", { weekday: "short" }).toLowerCase();
    if (this.opener.hidden || this.shown === today || weekday !== day) return;
    if (60 * now.getHours() + now.getMinutes() < minutesOf(time)) return;
    this.shown = today;
    this.glance();
  }

  /** @param {number} [stay]  ms */
  async open(stay = IDLE) {
    if (this.dialog.open) return;
    this.words.textContent = "";
    this.#fill(NOTHING);
    this.dialog.showModal();
    this.#restartTimer(stay);
    try {
      const response = await fetch("week.json");
      if (!response.ok) throw new Error(response.statusText);
      this.#show(await response.json());
    } catch {
      this.words.textContent = text("week_unreadable");
    }
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key.toLowerCase() !== KEY || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.dialog.open) this.dialog.close();
    else if (!this.opener.hidden) this.open();
  }

  #restartTimer(stay = IDLE) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.dialog.close(), stay);
  }

  /** @param {Shares} shares */
  #show(shares) {
    const seen = Object.keys(shares.minutes).length > 0;
    this.words.textContent = seen ? "" : text("week_empty");
    this.#fill(seen ? shares : NOTHING);
  }

  /** @param {Shares} shares */
  #fill({ days, minutes }) {
    this.table.hidden = !days.length;
    this.table.replaceChildren(head(), ...days.map(rowOf));
    this.legend.replaceChildren(...legendOf(minutes));
  }
}

/** The labelled hours; the others would crowd. */
function head() {
  const row = document.createElement("tr");
  row.append(cell("td", ""));
  for (let hour = 0; hour < 24; hour += LABELLED) {
    const name = cell("th", timeWords(hour));
    name.scope = "colgroup";
    name.colSpan = LABELLED;
    row.append(name);
  }
  return row;
}

/** @param {Day} day */
function rowOf({ date, hours }) {
  const row = document.createElement("tr");
  // At noon: no change of the clocks moves that to another day.
  const name = cell("th", new Date(`${date}T12:00`).toLocaleDateString(document.documentElement.lang, {
    weekday: "short", day: "numeric",
  }));
  name.scope = "row";
  row.append(name, ...hours.map(hourOf));
  return row;
}

/**
 * @param {Hour | null} seen
 * @param {number} hour
 */
function hourOf(seen, hour) {
  const box = cell("td", "");
  if (!seen) return box;
  const light = Math.min(1, seen.minutes / FULL);
  box.style.setProperty("--mood", css(colorsOf(lookFor(seen.mood)).near));
  box.style.setProperty("--light", String(0.25 + 0.75 * light));
  box.toggleAttribute("data-bright", light > 0.5);
  const words = text("week_hour", {
    hour: timeWords(hour),
    mood: moodName(seen.mood),
    share: percent(seen.share),
    time: time(seen.minutes),
  });
  box.title = words;
  const spoken = document.createElement("span");
  spoken.textContent = words;
  box.append(glyphOf(seen.mood), spoken);
  return box;
}

/**
 * Each mood by name and time, the longest first: nothing depends on colour alone.
 *
 * @param {Record<string, number>} minutes
 */
function legendOf(minutes) {
  return Object.entries(minutes).sort(([, a], [, b]) => b - a).map(([mood, seen]) => {
    const item = document.createElement("li");
    item.style.setProperty("--mood", css(colorsOf(lookFor(mood)).near));
    item.append(glyphOf(mood), `${moodName(mood)} ${time(seen)}`);
    return item;
  });
}

/** @param {number} share  0..1 */
function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** @param {number} minutes */
function time(minutes) {
  if (minutes < 1) return text("under_minute");
  const [hours, rest] = [Math.floor(Math.round(minutes) / 60), Math.round(minutes) % 60];
  if (!hours) return text("minutes", { minutes: rest });
  return text("hours", { hours, minutes: String(rest).padStart(2, "0") });
}

/**
 * @template {"td" | "th"} K
 * @param {K} kind
 * @param {string} words
 */
function cell(kind, words) {
  const element = document.createElement(kind);
  element.textContent = words;
  return element;
}

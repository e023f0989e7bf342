// @ts-check
/** The ribbon: the last minutes or hours, coloured by mood, as wide as its confidence. */

import { IDLE_LOOK, blend, css, lookFor, colorsOf, moodName } from "./moods.js";
import { text, widthOf } from "./texts.js";

/** @typedef {import("./moods.js").Colour} Colour */
/**
 * @typedef {[at: number, mood: string | null, confidence: number | null]} Moment
 *   One point of the ribbon: seconds, label (null: no face), 0..1.
 */

const MOMENTS = 600; // as in sinks/mirror/messages.py
const LEAST_SHARE = 1 / 20; // of the span: what was seen for less is not in the label
const LEAST_SECONDS = 30; // that are in the label, however long the span
const SOFT = 6; // moments over which colour and width run into one another
const GAP = 2.5; // moments apart: beyond that nothing was seen in between
const LETTER = 0.6; // em that a letter of a name takes, its share of the gaps included
/** Bands of one column, each [share of its height, opacity]: a glow, not a block. */
const BANDS = /** @type {const} */ ([
  [1, 0.15], [0.88, 0.2], [0.76, 0.25], [0.64, 0.3], [0.52, 0.4], [0.38, 0.5],
]);
const THIN = 0.05; // of the height: somebody could have come, nobody did

export class Ribbon {
  /**
   * @param {HTMLElement} element
   * @param {number} [room]  moments that there is room for
   */
  constructor(element, room = MOMENTS) {
    this.room = room;
    this.element = element;
    this.names = /** @type {HTMLElement} */ (element.querySelector(".names"));
    this.ticks = /** @type {HTMLElement} */ (element.querySelector(".ticks"));
    this.canvas = /** @type {HTMLCanvasElement} */ (element.querySelector("canvas"));
    this.pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.span = 600; // seconds
    this.step = this.span / room; // seconds
    this.now = 0; // seconds
    this.drawn = 0; // seconds: the last time that it was drawn for
    this.resting = false; // not to be seen, so nothing is drawn
    /** @type {Moment[]} */
    this.moments = [];
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
  }

  /**
   * Start over with the server's moments.
   *
   * @param {number} now  seconds
   * @param {number} span  seconds
   * @param {Moment[]} moments  oldest first
   */
  start(now, span, moments) {
    this.span = span;
    this.step = span / this.room;
    this.moments = [...moments];
    this.drawn = 0;
    this.#drawTicks();
    this.advance(now, null);
  }

  /**
   * @param {number} now  seconds
   * @param {Moment | null} moment
   */
  advance(now, moment) {
    this.now = now;
    const last = this.moments.at(-1);
    if (moment && !(last && moment[0] - last[0] < 0.75 * this.step)) this.moments.push(moment);
    while (this.moments.length && this.moments[0][0] < now - this.span) this.moments.shift();
    // No need to draw what would move by less than a pixel.
    const pixel = this.span / this.canvas.width;
    if (this.resting || Math.abs(now - this.drawn) < pixel) return;
    this.#draw();
    this.#drawNames();
  }

  /** @param {boolean} resting */
  rest(resting) {
    if (this.resting === resting) return;
    this.resting = resting;
    this.drawn = 0;
    this.advance(this.now, null);
  }

  #resize() {
    const scale = Math.min(devicePixelRatio, 2);
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * scale));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * scale));
    this.#draw();
    this.#drawTicks();
  }

  #draw() {
    this.drawn = this.now;
    const { width, height } = this.canvas;
    this.pen.clearRect(0, 0, width, height);
    const soft = SOFT * this.step;
    let first = 0;
    for (let x = 0; x < width; x++) {
      const at = this.now - this.span * (1 - (x + 0.5) / width);
      while (first < this.moments.length && this.moments[first][0] < at - soft) first++;
      const slice = this.#slice(first, at);
      if (!slice) continue;
      this.pen.fillStyle = css(slice.colour);
      for (const [share, opacity] of BANDS) {
        const tall = Math.max(2, height * slice.width * share);
        this.pen.globalAlpha = slice.light * opacity;
        this.pen.fillRect(x, (height - tall) / 2, 1, tall);
      }
    }
  }

  /**
   * The ribbon at one time, out of the moments around it, the nearer the heavier.
   *
   * @param {number} first  index of the first moment that can matter
   * @param {number} at  seconds
   */
  #slice(first, at) {
    const parts = [];
    const soft = SOFT * this.step;
    let [total, width, light, nearest] = [0, 0, 0, Infinity];
    for (let i = first; i < this.moments.length && this.moments[i][0] < at + soft; i++) {
      const [when, mood, confidence] = this.moments[i];
      const distance = Math.abs(when - at);
      nearest = Math.min(nearest, distance);
      const weight = (1 - distance / soft) ** 2;
      total += weight;
      width += weight * (mood === null ? THIN : 0.1 + 0.9 * (confidence ?? 0) ** 1.5);
      light += weight * (mood === null ? 0.45 : 1);
      parts.push({ colour: colourOf(mood), weight });
    }
    if (nearest > GAP * this.step || total === 0) return null;
    for (const part of parts) part.weight /= total;
    return { colour: blend(parts), width: width / total, light: light / total };
  }

  /** Mark whole minutes under the ribbon, as many as fit. */
  #drawTicks() {
    const minutes = Math.round(this.span / 60);
    const room = Math.max(1, Math.floor(this.element.clientWidth / 200));
    const step = [1, 2, 5, 10, 30, 60].find((each) => minutes / each <= room) ?? minutes;
    this.ticks.replaceChildren();
    for (let ago = 0; ago <= minutes; ago += step) {
      this.ticks.append(mark(ago ? text("minutes", { minutes: ago }) : text("now"), 1 - ago / minutes));
    }
  }

  /** Name each long run, so that nothing depends on colour alone. */
  #drawNames() {
    const start = this.now - this.span;
    const runs = runsOf(this.moments, this.step);
    const letter = LETTER * parseFloat(getComputedStyle(this.names).fontSize);
    const second = this.names.clientWidth / this.span; // pixels
    this.names.replaceChildren();
    for (const { mood, from, to } of runs) {
      if (mood === null || (to - from) * second < widthOf(moodName(mood)) * letter) continue;
      const label = mark(moodName(mood), ((from + to) / 2 - start) / this.span);
      label.style.color = css(colorsOf(lookFor(mood)).near);
      this.names.append(label);
    }
    this.element.setAttribute("aria-label", ariaLabel(runs, this.step, this.span));
  }
}

/** @param {string | null} mood */
function colourOf(mood) {
  return colorsOf(mood === null ? IDLE_LOOK : lookFor(mood)).near;
}

/**
 * @param {string} words
 * @param {number} share  of the ribbon's width, 0..1
 */
function mark(words, share) {
  const element = document.createElement("span");
  element.textContent = words;
  element.style.left = `${100 * share}%`;
  return element;
}

/**
 * @param {Moment[]} moments
 * @param {number} step  seconds between them
 * @returns {{ mood: string | null, from: number, to: number }[]}
 */
function runsOf(moments, step) {
  /** @type {{ mood: string | null, from: number, to: number }[]} */
  const runs = [];
  for (const [at, mood] of moments) {
    const last = runs.at(-1);
    if (last && last.mood === mood && at - last.to <= GAP * step) last.to = at;
    else runs.push({ mood, from: at, to: at });
  }
  return runs;
}

/** @param {number} seconds */
function timeOf(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes ? text("minutes", { minutes }) : text("under_minute");
}

/**
 * @param {{ mood: string | null, from: number, to: number }[]} runs
 * @param {number} step  seconds between moments
 * @param {number} span  seconds
 */
function ariaLabel(runs, step, span) {
  /** @type {Map<string, number>} */
  const seconds = new Map();
  for (const { mood, from, to } of runs) {
    if (mood !== null) seconds.set(mood, (seconds.get(mood) ?? 0) + to - from + step);
  }
  const shares = [...seconds]
    .filter(([, held]) => held >= Math.min(LEAST_SECONDS, LEAST_SHARE * span))
    .sort(([, a], [, b]) => b - a)
    .map(([mood, held]) => `${moodName(mood)} ${timeOf(held)}`);
  return text("ribbon", { shares: shares.join(", ") || text("ribbon_empty") });
}

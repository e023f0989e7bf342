// @ts-check
/** The halo: strands of light on a circle, which breathe and move as the mood does. */

import { IDLE_LOOK, blend, css, background, colorsOf } from "./moods.js";

/** @typedef {import("./moods.js").Look} Look */
/** @typedef {import("./moods.js").Colour} Colour */

// Strands, frames and pixels are what the halo costs, and a Raspberry Pi has other work.
const STRANDS = 20;
const CORNERS = 96; // of one strand's polygon: finer cannot be told from a curve
const PAUSE = 120; // ms between frames: the waves move a pixel or two in it
const LONG_PAUSE = 250; // ms, while idle
const LARGEST = 480; // pixels a side: the light is soft, so larger screens scale it up
const RADIUS = 0.37; // of the canvas's side
const TURN = 2 * Math.PI;
const FADE = 0.9; // seconds in which an old mood's motion fades to a third

export class Halo {
  /** @param {HTMLElement} element */
  constructor(element) {
    const canvas = /** @type {HTMLCanvasElement} */ (element.querySelector("canvas"));
    this.canvas = canvas;
    this.pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.look = IDLE_LOOK;
    /** The looks still visible, with the share of each. @type {Map<Look, number>} */
    this.shares = new Map([[IDLE_LOOK, 1]]);
    this.drawn = 0; // ms
    this.timer = 0;
    this.frame = 0;
    /** Colours of the people who share the ring; one alone has it whole. @type {Look[]} */
    this.people = [];
    this.resting = false; // not to be seen, so nothing is drawn
    this.moves = true; // unless the configuration, or the browser, wants it still
    this.stillness = matchMedia("(prefers-reduced-motion: reduce)");
    this.stillness.addEventListener("change", () => this.#restart());
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  /**
   * @param {Look} look
   * @param {Look[]} people  of two or more, each one's
   */
  show(look, people = []) {
    const same = people.length === this.people.length && people.every((one, i) => one === this.people[i]);
    if (look === this.look && same) return;
    this.look = look;
    this.people = people;
    if (!this.shares.has(look)) this.shares.set(look, 0);
    this.#restart(); // at once, not after a long pause
  }

  /** @param {boolean} resting */
  rest(resting) {
    this.resting = resting;
    this.#restart();
  }

  /** @param {boolean} moves */
  setMotion(moves) {
    this.moves = moves;
    this.#restart();
  }

  #resize() {
    const side = Math.min(this.canvas.clientWidth * devicePixelRatio, LARGEST);
    this.canvas.width = this.canvas.height = Math.max(1, Math.round(side));
    this.#restart();
  }

  #restart() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    const still = this.stillness.matches || !this.moves;
    this.canvas.dataset.motion = this.resting ? "resting" : still ? "still" : "breathing";
    if (this.resting) return;
    if (still) this.#drawStill();
    else this.frame = requestAnimationFrame((now) => this.#animate(now));
  }

  /** One image without motion, for those who prefer that. */
  #drawStill() {
    this.shares = new Map([[this.look, 1]]);
    this.#draw(0);
  }

  /** @param {number} now  ms */
  #animate(now) {
    this.#fade(Math.min(now - this.drawn, 300) / 1000);
    this.drawn = now;
    this.#draw(now / 1000);
    const resting = this.look === IDLE_LOOK && this.shares.size === 1;
    this.timer = setTimeout(
      () => { this.frame = requestAnimationFrame((next) => this.#animate(next)); },
      resting ? LONG_PAUSE : PAUSE,
    );
  }

  /** @param {number} seconds */
  #fade(seconds) {
    const keep = Math.exp(-seconds / FADE);
    for (const [look, share] of this.shares) {
      const next = look === this.look ? 1 - (1 - share) * keep : share * keep;
      if (next < 0.004 && look !== this.look) this.shares.delete(look);
      else this.shares.set(look, next);
    }
  }

  /** @param {number} time  seconds */
  #draw(time) {
    const { pen, canvas } = this;
    const side = canvas.width;
    const layers = this.#layers();
    pen.clearRect(0, 0, side, side);
    // Where strands cross, light adds up, and on a light background ink does.
    pen.globalCompositeOperation = background.light ? "multiply" : "lighter";
    pen.lineWidth = Math.max(1, side / 330);
    pen.strokeStyle = this.#gradient(layers, time);
    const light = layers.reduce((sum, { look, weight }) => sum + look.light * weight, 0);
    for (let strand = 0; strand < STRANDS; strand++) {
      const place = strand / (STRANDS - 1);
      // The middle strands are the brightest, so that the band has no edge.
      pen.globalAlpha = light * (0.1 + 0.5 * Math.sin(Math.PI * place) ** 2);
      this.#trace(layers, place, time);
    }
  }

  /** @returns {{ look: Look, weight: number }[]} */
  #layers() {
    let total = 0;
    for (const share of this.shares.values()) total += share;
    return [...this.shares].map(([look, share]) => ({ look, weight: share / (total || 1) }));
  }

  /**
   * @param {{ look: Look, weight: number }[]} layers
   * @param {number} time  seconds
   */
  #gradient(layers, time) {
    const paints = layers.map(({ look, weight }) => ({ ...colorsOf(look), weight }));
    const near = css(blend(paints.map((paint) => ({ colour: paint.near, weight: paint.weight }))));
    const far = css(blend(paints.map((paint) => ({ colour: paint.far, weight: paint.weight }))));
    const middle = this.canvas.width / 2;
    if (this.people.length > 1) return this.#sharedGradient(middle);
    const paint = this.pen.createConicGradient(time * 0.11 - 2, middle, middle);
    paint.addColorStop(0, near);
    paint.addColorStop(0.3, far);
    paint.addColorStop(0.55, near);
    paint.addColorStop(0.8, far);
    paint.addColorStop(1, near);
    return paint;
  }

  /**
   * A part of the ring for each: from the top on, in the order in which they came.
   *
   * @param {number} middle  pixels
   */
  #sharedGradient(middle) {
    const paint = this.pen.createConicGradient(-TURN / 4, middle, middle);
    const part = 1 / this.people.length;
    const ends = [this.people[0], this.people[this.people.length - 1]];
    const seam = css(blend(ends.map((look) => ({ colour: colorsOf(look).near, weight: 0.5 }))));
    paint.addColorStop(0, seam);
    paint.addColorStop(1, seam);
    this.people.forEach((look, place) => {
      const { near } = colorsOf(look);
      paint.addColorStop(part * (place + 0.08), css(near));
      paint.addColorStop(part * (place + 0.92), css(near));
    });
    return paint;
  }

  /**
   * @param {{ look: Look, weight: number }[]} layers
   * @param {number} place  of the strand in the band, 0..1
   * @param {number} time  seconds
   */
  #trace(layers, place, time) {
    const { pen, canvas } = this;
    const middle = canvas.width / 2;
    const radius = canvas.width * RADIUS * (1 + 0.018 * breathAt(time)) * (1 + 0.1 * (place - 0.5));
    pen.beginPath();
    for (let corner = 0; corner < CORNERS; corner++) {
      const angle = (corner / CORNERS) * TURN;
      let sway = 0;
      for (const { look, weight } of layers) sway += weight * wave(look, angle, place, time);
      const reach = radius * (1 + sway);
      pen.lineTo(middle + reach * Math.cos(angle), middle + reach * Math.sin(angle));
    }
    pen.closePath();
    pen.stroke();
  }
}

/**
 * @param {number} time  seconds
 * @returns {number}  -1..1, over eight seconds
 */
function breathAt(time) {
  return Math.sin((time * TURN) / 8);
}

/**
 * How far a strand leaves the circle, in radii: two waves against one another, stronger on
 * one side, and that side wanders.
 *
 * @param {Look} look
 * @param {number} angle  radians
 * @param {number} place  of the strand in the band, 0..1
 * @param {number} time  seconds
 */
function wave(look, angle, place, time) {
  const beat = time * 0.32 * look.pace;
  const lean = look.weave * place;
  const one = Math.sin(look.lobes * angle + beat + lean);
  const other = Math.sin((look.lobes + 1) * angle - 0.7 * beat + 1.6 * lean + 1);
  const side = 0.62 + 0.38 * Math.sin(angle - 0.35 * beat + 0.8 * lean);
  return look.sway * side * (0.6 * one + 0.4 * other);
}

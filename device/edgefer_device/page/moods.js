// @ts-check
/** The look of each mood: two colours, and the motion of its halo. The labels come from the model. */

import { lookUp } from "./texts.js";

/**
 * @typedef {[red: number, green: number, blue: number]} Colour  0..255
 *
 * @typedef {object} Look
 * @property {Colour} near  the colour of arc, word and ribbon
 * @property {Colour} far  the colour that the halo runs into
 * @property {number} sway  how far the strands leave the circle, in radii
 * @property {number} lobes  waves around the circle
 * @property {number} pace  speed of the waves, 1 is a slow breath
 * @property {number} weave  how far neighbouring strands part, in radians of their wave
 * @property {number} light  brightness of the strands, 0..1
 */

/** The colour-blind can tell them apart too (test_colours.py). @type {Record<string, Look>} */
const LOOKS = {
  neutral: look([218, 223, 233], [92, 140, 170], { sway: 0.07, lobes: 3, pace: 0.7, weave: 2.2 }),
  happy: look([237, 204, 107], [255, 128, 84], { sway: 0.14, lobes: 5, pace: 1.15, weave: 2.8 }),
  surprise: look([230, 123, 196], [110, 214, 255], { sway: 0.16, lobes: 4, pace: 1.5, weave: 3.6 }),
  sad: look([94, 147, 255], [58, 84, 214], { sway: 0.13, lobes: 2, pace: 0.5, weave: 2.4 }),
  angry: look([255, 99, 91], [190, 40, 84], { sway: 0.1, lobes: 7, pace: 1.2, weave: 3.2 }),
  fear: look([208, 155, 253], [98, 84, 214], { sway: 0.09, lobes: 8, pace: 1.4, weave: 4 }),
  disgust: look([147, 233, 166], [60, 148, 116], { sway: 0.13, lobes: 4, pace: 0.7, weave: 3 }),
  contempt: look([208, 169, 125], [150, 106, 92], { sway: 0.1, lobes: 3, pace: 0.6, weave: 2.6 }),
  unknown: look([181, 199, 222], [104, 112, 132], {
    sway: 0.13, lobes: 3, pace: 0.8, weave: 4.5, light: 0.6,
  }),
};

/** No mood to show: nobody in view, no report, no connection. */
export const IDLE_LOOK = look([104, 118, 132], [44, 50, 64], {
  sway: 0.02, lobes: 2, pace: 0.4, weave: 0.8, light: 0.5,
});

/**
 * @param {string} mood
 * @returns {string}
 */
export function moodName(mood) {
  return lookUp("moods", mood);
}

/** The looks given out, by mood and colour: the halo tells them apart by identity. @type {Map<string, Look>} */
const given = new Map();

/**
 * A model may bring labels of its own, with their colours; else each gets a steady one by its name.
 *
 * @param {string} mood
 * @returns {Look}  the same object for as long as the mood has the same colour
 */
export function lookFor(mood) {
  const own = lookUp("colours", mood);
  const key = `${own} ${mood}`;
  let found = given.get(key);
  if (found === undefined) {
    const known = LOOKS[mood] ?? generatedLook(mood);
    found = own === mood ? known : { ...known, ...shades(own) };
    given.set(key, found);
  }
  return found;
}

/**
 * @param {string} hex  `#rrggbb`
 * @returns {{ near: Colour, far: Colour }}
 */
function shades(hex) {
  const near = /** @type {Colour} */ ([1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return { near, far: /** @type {Colour} */ (near.map((level) => level * 0.6)) };
}

/** The page's background: light is added to a dark one, taken from a light one. */
export const background = { light: false };

/**
 * The colours of a look on the page's background.
 *
 * @param {Look} look
 * @returns {{ near: Colour, far: Colour }}
 */
export function colorsOf({ near, far }) {
  return background.light ? { near: darken(near), far: darken(far) } : { near, far };
}

/**
 * A pale colour deepened until it can be read on white: its strongest channel stays within 0.72,
 * and its tone is kept.
 *
 * @param {Colour} colour
 * @returns {Colour}
 */
function darken(colour) {
  const [least, most] = [Math.min(...colour), Math.max(...colour)];
  return /** @type {Colour} */ (colour.map((level) => (level - 0.75 * least) * (184 / most)));
}

/** @param {Colour} colour */
export function css(colour) {
  return `rgb(${colour.map(Math.round).join(" ")})`;
}

/**
 * @param {{ colour: Colour, weight: number }[]} parts  weights that add to 1
 * @returns {Colour}
 */
export function blend(parts) {
  /** @type {Colour} */
  const sum = [0, 0, 0];
  for (const { colour, weight } of parts) {
    for (const channel of /** @type {const} */ ([0, 1, 2])) {
      sum[channel] += colour[channel] * weight;
    }
  }
  return sum;
}

/**
 * @param {Colour} near
 * @param {Colour} far
 * @param {{ sway: number, lobes: number, pace: number, weave: number, light?: number }} motion
 * @returns {Look}
 */
function look(near, far, motion) {
  return { near, far, light: 1, ...motion };
}

/**
 * @param {string} mood
 * @returns {Look}
 */
function generatedLook(mood) {
  let hash = 0;
  for (const letter of mood) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  const hue = hash % 360;
  const motion = { sway: 0.08, lobes: 3 + (hash % 4), pace: 0.9, weave: 2 };
  return look(fromHue(hue, 0.8), fromHue((hue + 40) % 360, 0.6), motion);
}

/**
 * @param {number} hue  degrees
 * @param {number} value  0..1
 * @returns {Colour}
 */
function fromHue(hue, value) {
  /** @type {(shift: number) => number} */
  const channel = (shift) => {
    const wave = 0.5 + 0.5 * Math.cos(((hue - shift) * Math.PI) / 180);
    return 255 * value * (0.4 + 0.6 * wave);
  };
  return [channel(0), channel(120), channel(240)];
}

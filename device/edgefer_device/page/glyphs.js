// @ts-check
/** A small face beside each mood's word, so that no mood is told by its colour alone. */

const OUTLINE = "M12 2a10 10 0 1 0 .01 0";
const EYES = "M8.5 9.5v.01M15.5 9.5v.01";
const NARROW_EYES = "M6.8 9.5h3M14.2 9.5h3";

/** Strokes on 24 by 24. @type {Record<string, string>} */
const FEATURES = {
  neutral: `${EYES}M8 16h8`,
  happy: `${EYES}M6.5 13.5c1.8 5.4 9.2 5.4 11 0`,
  surprise: `${EYES}M12 13.4a2.3 2.6 0 1 0 .01 0`,
  sad: `${EYES}M7.5 17.5c1.6-3.8 7.4-3.8 9 0`,
  angry: `${EYES}M5.8 6.4l4 2M18.2 6.4l-4 2M8 17c2-2.4 6-2.4 8 0`,
  fear: `${EYES}M5.8 7.6l3.4-1.8M18.2 7.6l-3.4-1.8M6.8 16.6l2.6-2 2.6 2 2.6-2 2.6 2`,
  disgust: `${NARROW_EYES}M7.5 16c1.6-2.8 3-2.8 4.5 0s2.9 2.8 4.5 0`,
  contempt: `${NARROW_EYES}M8 16.2c4 .3 6.4-.6 8.2-3`,
  unknown: "M8 12v.01M12 12v.01M16 12v.01",
};

/**
 * A model's own label has a face without features.
 *
 * @param {string} mood
 * @returns {Element}
 */
export function glyphOf(mood) {
  const holder = document.createElement("template"); // its parser knows SVG
  holder.innerHTML = '<svg class="glyph" viewBox="0 0 24 24" aria-hidden="true"><path/></svg>';
  const glyph = /** @type {Element} */ (holder.content.firstElementChild);
  glyph.firstElementChild?.setAttribute("d", OUTLINE + (FEATURES[mood] ?? EYES));
  return glyph;
}

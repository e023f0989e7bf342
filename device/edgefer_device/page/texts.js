// @ts-check
/** The page's texts, from one JSON file a language. */

const RETRY = 2_000; // ms

/** @typedef {"moods" | "reasons" | "greetings" | "troubles" | "enrollments" | "advice" | "colours" | "library"} Table */

/** @type {Record<string, string | Record<string, string>>} */
let texts = {};

/**
 * Fetch the texts, and fill in those that never change.
 *
 * @param {string} [address]  of the texts; without one the server chooses the language
 */
export async function loadTexts(address = "texts.json") {
  texts = await fetchJson(address);
  document.documentElement.lang = text("tag");
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text(/** @type {HTMLElement} */ (element).dataset.text ?? "");
  }
}

/**
 * @param {string} key
 * @param {Record<string, string | number>} values  for the {braces} in the text
 * @returns {string}
 */
export function text(key, values = {}) {
  const found = texts[key];
  if (typeof found !== "string") return key;
  return found.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/**
 * A model may bring labels of its own: a key without a text is returned as it is.
 *
 * @param {Table} table
 * @param {string} key
 * @returns {string}
 */
export function lookUp(table, key) {
  const words = texts[table];
  return (typeof words === "object" ? words[key] : undefined) ?? key;
}

/**
 * The width of a text in letters: a Chinese character is as wide as two.
 *
 * @param {string} words
 * @returns {number}
 */
export function widthOf(words) {
  let letters = 0;
  for (const letter of words) letters += (letter.codePointAt(0) ?? 0) >= 0x2e80 ? 2.1 : 1;
  return letters;
}

/**
 * Fetch JSON, retrying until it comes.
 *
 * @param {string} address
 * @returns {Promise<any>}
 */
export async function fetchJson(address) {
  for (;;) {
    try {
      const response = await fetch(address);
      if (response.ok) return await response.json();
    } catch {
      // The server may be restarting.
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
}

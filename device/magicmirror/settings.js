/* What may stand in `config`, checked in words that a person at the mirror can use. */

((root, make) => {
  if (typeof module === "object" && module.exports) module.exports = make();
  else root.EdgeferSettings = make();
})(globalThis, () => {
  const DEFAULTS = {
    source: "mqtt://localhost/edgefer",
    user: "", // of the broker
    password: "",
    token: "", // of the daemon's page, for a source ws://
    size: 180, // pixels of the halo; 0: none
    word: true,
    confidence: false,
    ribbon: 0, // minutes; 0: none
    hideWhenNobody: true,
    compliments: true, // false, or { mood: ["...", ...] }
    profiles: {}, // mood: profile, sent as CURRENT_PROFILE
    pages: {}, // mood: number of a page, sent as PAGE_SELECT
  };
  const SCHEMES = ["mqtt:", "mqtts:", "ws:", "wss:"];

  const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const between = (least, most) => (value) =>
    typeof value === "number" && value >= least && value <= most;
  const isText = (value) => typeof value === "string";
  const isSwitch = (value) => typeof value === "boolean";
  const tableOf = (holds) => (value) => isTable(value) && Object.values(value).every(holds);
  const isLines = (value) => Array.isArray(value) && value.length > 0 && value.every(isText);

  /** For each key: whether a value is right, and what it should be. */
  const RULES = {
    user: [isText, "a text"],
    password: [isText, "a text"],
    token: [isText, "a text"],
    size: [(value) => value === 0 || between(40, 1000)(value), "0, or pixels from 40 to 1000"],
    word: [isSwitch, "true or false"],
    confidence: [isSwitch, "true or false"],
    ribbon: [(value) => value === 0 || between(1, 180)(value), "0, or minutes from 1 to 180"],
    hideWhenNobody: [isSwitch, "true or false"],
    compliments: [
      (value) => isSwitch(value) || tableOf(isLines)(value),
      "true, false or { happy: [\"...\"] }",
    ],
    profiles: [tableOf(isText), "{ happy: \"a profile\" }"],
    pages: [tableOf((value) => Number.isInteger(value) && value >= 0), "{ happy: 2 }"],
  };

  /**
   * Return what is wrong with a config, one line each; none when all is well.
   */
  function problems(config) {
    const found = [];
    const source = sourceProblem(config.source);
    if (source) found.push(source);
    for (const key of Object.keys(config)) {
      if (!(key in DEFAULTS)) {
        const guess = nearest(key);
        found.push(`${key}: there is no such setting${guess ? `; did you mean ${guess}?` : ""}`);
      } else if (key in RULES && !RULES[key][0](config[key])) {
        found.push(`${key}: expected ${RULES[key][1]}, got ${JSON.stringify(config[key])}`);
      }
    }
    return found;
  }

  function sourceProblem(source) {
    const wanted = "expected mqtt://BROKER/TOPIC or ws://DAEMON:8137";
    let [url, topic] = [];
    try {
      url = new URL(source);
      topic = topicOf(url); // a % of no letter throws
    } catch {
      return `source: ${wanted}, got ${JSON.stringify(source)}`;
    }
    if (!SCHEMES.includes(url.protocol)) return `source: ${wanted}, got ${url.protocol}//`;
    if (url.username || url.password) return "source: write user and password as settings of their own";
    if (url.protocol.startsWith("mqtt") && (!topic || /[+#]/.test(source))) {
      return `source: ${wanted}; the topic is that of the daemon's sink, without + and #`;
    }
    return null;
  }

  /** The topic of an address, without slashes at its ends. */
  function topicOf(url) {
    return decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, "");
  }

  /** The setting that a wrong word probably meant. */
  function nearest(word) {
    const close = (name) => distance(word.toLowerCase(), name.toLowerCase());
    const [best] = Object.keys(DEFAULTS).sort((a, b) => close(a) - close(b));
    return close(best) <= 3 ? best : null;
  }

  /** Levenshtein's distance. */
  function distance(one, other) {
    let row = [...Array(other.length + 1).keys()];
    for (let i = 1; i <= one.length; i++) {
      const next = [i];
      for (let j = 1; j <= other.length; j++) {
        const changed = row[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1);
        next.push(Math.min(changed, row[j] + 1, next[j - 1] + 1));
      }
      row = next;
    }
    return row[other.length];
  }

  return { DEFAULTS, problems, topicOf };
});

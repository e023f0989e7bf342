/* From what the daemon says to what is shown and what other modules are told; no drawing here. */

((root, make) => {
  if (typeof module === "object" && module.exports) module.exports = make();
  else root.EdgeferView = make();
})(globalThis, () => {
  /**
   * @typedef {object} Heard  from node_helper.js
   * @property {string} link  "connecting", "online", "offline" or a trouble's name
   * @property {string} [detail]  of a trouble, in the broker's or daemon's words
   * @property {State | null} state  the last one; null before the first
   *
   * @typedef {object} State  as at TOPIC/state and /api/state
   * @property {string | null} mood
   * @property {number | null} confidence
   * @property {string | null} reason
   * @property {number} faces
   * @property {boolean} paused
   * @property {string | null} problem
   */

  const START = { scene: "connecting", mood: null, confidence: null, reason: null, since: 0 };
  const LINKS = { connecting: "connecting", offline: "offline", silent: "silent" };

  /** The scene of what was heard. */
  function sceneOf({ link, state }) {
    if (link !== "online") return LINKS[link] ?? "trouble";
    if (!state) return "connecting";
    if (state.paused) return "paused";
    if (state.problem) return "blind";
    return state.mood === null ? "nobody" : "mood";
  }

  /**
   * Return the next view, and the notifications for other modules.
   *
   * Those speak only of what is seen: without a connection, while paused or without pictures
   * nobody knows who is there, so presence stays as it was last told.
   */
  function next(view, heard, config, now) {
    const scene = sceneOf(heard);
    const sees = scene === "mood" || scene === "nobody";
    const { mood, confidence, reason } = sees ? heard.state : START;
    const since = scene === view.scene ? view.since : now;
    const after = { scene, mood, confidence, reason, since, link: heard.link, detail: heard.detail };
    after.told = view.told ?? {};
    return { view: after, notifications: sees ? tell(after, config) : [] };
  }

  /** The notifications for what is new since they were told last; remembers it. */
  function tell(view, config) {
    const { mood, confidence, reason } = view;
    const before = view.told;
    view.told = { mood, reason, present: mood !== null };
    const notifications = [];
    if (before.mood !== mood || before.reason !== reason) {
      notifications.push(["MOOD_CHANGED", { mood, confidence, reason: reason ?? null }]);
    }
    if (before.present !== view.told.present) {
      notifications.push(["USER_PRESENCE", view.told.present]);
    }
    if (before.mood !== mood && mood in config.profiles) {
      notifications.push(["CURRENT_PROFILE", config.profiles[mood]]);
    }
    if (before.mood !== mood && mood in config.pages) {
      notifications.push(["PAGE_SELECT", config.pages[mood]]);
    }
    return notifications;
  }

  /**
   * A compliment for a mood, or "": of the config's own, else of the translation, where lines are
   * parted by a bar.
   */
  function compliment(mood, config, translated, random) {
    if (!config.compliments || mood === null) return "";
    const own = config.compliments === true ? undefined : config.compliments[mood] ?? [];
    const lines = own ?? (translated ? translated.split("|") : []);
    return lines.length ? lines[Math.floor(random * lines.length)] : "";
  }

  /** Read a state; null for what no daemon of this version says. */
  function readState(text) {
    let state;
    try {
      state = JSON.parse(text);
    } catch {
      return null;
    }
    const known =
      state !== null &&
      typeof state === "object" &&
      (state.version ?? 1) === 1 &&
      (state.mood === null || typeof state.mood === "string") &&
      typeof state.faces === "number" &&
      typeof state.paused === "boolean";
    return known ? state : null;
  }

  return { START, next, compliment, readState };
});

/* Beside MagicMirror's server: one Source for each daemon, whatever number of modules and pages. */

const NodeHelper = require("node_helper");
const { Source } = require("./source.js");

module.exports = NodeHelper.create({
  start() {
    this.sources = new Map();
  },

  stop() {
    for (const source of this.sources.values()) source.stop();
  },

  socketNotificationReceived(notification, payload) {
    if (notification === "LISTEN") this.listen(payload);
    else if (notification === "PRIVACY") this.sources.get(payload.key)?.command(payload.paused);
  },

  /** A page that was reloaded asks again, and gets the last value at once. */
  listen(settings) {
    const { key } = settings;
    const known = this.sources.get(key);
    if (known) {
      this.sendSocketNotification("HEARD", { key, ...known.last });
      return;
    }
    const source = new Source(settings, (heard) =>
      this.sendSocketNotification("HEARD", { key, ...heard }));
    this.sources.set(key, source);
    source.start();
  },
});

/* global Module, Log, config, EdgeferSettings, EdgeferView */
/* The expression that edgefer reads: a halo and a word, and notifications for other modules. */

Module.register("MMM-Edgefer", {
  // MagicMirror reads them before settings.js is loaded; settings.js says what each is.
  defaults: {},
  requiresVersion: "2.20.0",

  getScripts() {
    return [this.file("settings.js"), this.file("view.js")];
  },

  getStyles() {
    return [this.file("MMM-Edgefer.css")];
  },

  getTranslations() {
    const places = { en: "en", de: "de", es: "es", zh: "zh", "zh-cn": "zh", "zh-tw": "zh" };
    return Object.fromEntries(
      Object.entries(places).map(([code, name]) => [code, `translations/${name}.json`]),
    );
  },

  start() {
    this.problems = EdgeferSettings.problems({ ...EdgeferSettings.DEFAULTS, ...this.config });
    this.config = { ...EdgeferSettings.DEFAULTS, ...this.config };
    this.view = EdgeferView.START;
    this.placed = this.away = false;
    this.wrapper = this.build();
    if (this.problems.length) {
      this.complain();
      return;
    }
    const { source, user, password, token } = this.config;
    this.key = JSON.stringify([source, user, password, token]);
    this.drawing = this.loadParts();
    this.present();
    this.listen();
  },

  listen() {
    const { source, user, password, token } = this.config;
    this.sendSocketNotification("LISTEN", { key: this.key, source, user, password, token });
  },

  socketNotificationReceived(notification, payload) {
    if (notification !== "HEARD" || payload.key !== this.key) return;
    const { view, notifications } = EdgeferView.next(this.view, payload, this.config, Date.now());
    const changed = view.mood !== this.view.mood;
    this.view = view;
    for (const [name, content] of notifications) this.sendNotification(name, content);
    if (changed) this.line = this.chooseLine();
    this.present();
  },

  notificationReceived(notification, payload) {
    if (!this.key) return;
    if (notification === "PRIVACY") {
      this.sendSocketNotification("PRIVACY", { key: this.key, paused: Boolean(payload) });
    } else if (notification === "MODULE_DOM_CREATED") {
      this.placed = true;
      this.hideFromNobody();
    }
  },

  chooseLine() {
    const { mood } = this.view;
    const key = `COMPLIMENT_${String(mood).toUpperCase()}`;
    const translated = this.translate(key);
    return EdgeferView.compliment(
      mood, this.config, translated === key ? "" : translated, Math.random(),
    );
  },

  getDom() {
    return this.wrapper;
  },

  build() {
    const wrapper = document.createElement("div");
    wrapper.className = "mmm-edgefer";
    wrapper.innerHTML = `
      <div class="mmm-edgefer-halo"><canvas></canvas></div>
      <div class="mmm-edgefer-word bright medium light" role="status"></div>
      <div class="mmm-edgefer-detail small dimmed"></div>
      <div class="mmm-edgefer-line small normal"></div>
      <div class="mmm-edgefer-ribbon xsmall dimmed">
        <div class="names"></div><canvas></canvas><div class="ticks"></div>
      </div>`;
    wrapper.style.setProperty("--size", `${this.config.size}px`);
    this.part(wrapper, "halo").hidden = !this.config.size;
    this.part(wrapper, "ribbon").hidden = !this.config.ribbon;
    return wrapper;
  },

  part(wrapper, name) {
    return wrapper.querySelector(`.mmm-edgefer-${name}`);
  },

  /** The parts that the mirror's own page is made of. */
  async loadParts() {
    const load = (name) => import(new URL(this.file(`parts/${name}.js`), document.baseURI).href);
    const [texts, moods, halo, ribbon] = await Promise.all(
      ["texts", "moods", "halo", "ribbon"].map(load),
    );
    const language = config.language.slice(0, 2);
    const known = ["de", "en", "es", "zh"].includes(language) ? language : "en";
    await texts.loadTexts(this.file(`parts/texts.${known}.json`));
    const parts = { texts, moods };
    if (this.config.size) parts.halo = new halo.Halo(this.part(this.wrapper, "halo"));
    if (this.config.ribbon) {
      parts.ribbon = new ribbon.Ribbon(this.part(this.wrapper, "ribbon"), 10 * this.config.ribbon);
      parts.ribbon.start(Date.now() / 1000, 60 * this.config.ribbon, []);
      setInterval(() => this.advance(parts.ribbon), 2000);
    }
    return parts;
  },

  advance(ribbon) {
    const now = Date.now() / 1000;
    const { scene, mood, confidence } = this.view;
    const sees = scene === "mood" || scene === "nobody";
    ribbon.advance(now, sees ? [now, mood, confidence] : null);
  },

  present() {
    const { wrapper, view } = this;
    wrapper.dataset.scene = view.scene;
    wrapper.dataset.mood = view.mood ?? "";
    this.hideFromNobody();
    this.drawing
      .then((parts) => this.draw(parts))
      .catch((error) => Log.error(`${this.name}: ${error.stack}`));
  },

  /** Before MagicMirror has made its element, hiding the module would be forgotten. */
  hideFromNobody() {
    const nobody = this.view.scene === "nobody" && this.config.hideWhenNobody;
    if (!this.placed || nobody === this.away) return;
    this.away = nobody;
    const options = { lockString: this.identifier };
    if (nobody) this.hide(500, () => {}, options);
    else this.show(500, () => {}, options);
  },

  draw({ texts, moods, halo }) {
    const { view, wrapper } = this;
    const look = view.mood === null ? moods.IDLE_LOOK : moods.lookFor(view.mood);
    const word = this.part(wrapper, "word");
    wrapper.classList.toggle("dimmed", !["mood", "nobody"].includes(view.scene));
    word.style.color = view.mood === null ? "" : moods.css(moods.colorsOf(look).near);
    word.textContent = this.words({ texts, moods });
    this.part(wrapper, "detail").textContent = this.detail(texts);
    this.part(wrapper, "line").textContent = view.scene === "mood" ? this.line ?? "" : "";
    halo?.show(look);
  },

  words({ texts, moods }) {
    const { scene, mood, confidence } = this.view;
    if (scene !== "mood") return scene === "nobody" ? texts.text("nobody") : this.sceneWords(texts);
    if (!this.config.word) return "";
    const name = moods.moodName(mood);
    const sure = this.config.confidence && confidence !== null;
    return sure ? `${name} ${Math.round(100 * confidence)} %` : name;
  },

  sceneWords(texts) {
    const { scene } = this.view;
    const own = { connecting: "connecting", paused: "paused", blind: "waiting" }[scene];
    return own ? texts.text(own) : this.translate(scene === "trouble" ? "TROUBLE" : scene.toUpperCase());
  },

  detail(texts) {
    const { scene, reason, link, detail, since } = this.view;
    if (scene === "mood") return reason ? texts.lookUp("reasons", reason) : "";
    if (scene === "paused") return texts.text("paused_detail");
    if (scene === "blind") return texts.text("waiting_detail");
    const time = this.clock(since);
    if (scene === "offline") return this.translate("SINCE", { time });
    if (scene === "silent") return this.translate("SILENT_DETAIL", { detail });
    if (scene !== "trouble") return "";
    const key = `TROUBLE_${link.toUpperCase()}`;
    return `${this.translate(key, { detail: detail ?? "" })} ${this.translate("SINCE", { time })}`;
  },

  /** A time of day as MagicMirror's own clock shows it. */
  clock(milliseconds) {
    const hour12 = config.timeFormat === 12;
    return new Date(milliseconds).toLocaleTimeString(config.locale ?? config.language, {
      hour: "numeric", minute: "2-digit", hour12,
    });
  },

  complain() {
    this.wrapper.dataset.scene = "config";
    this.wrapper.replaceChildren(
      ...[this.translate("CONFIG"), ...this.problems].map((text, index) => {
        const line = document.createElement("div");
        line.className = index ? "xsmall dimmed" : "small bright";
        line.textContent = text;
        return line;
      }),
    );
    for (const problem of this.problems) Log.error(`${this.name}: ${problem}`);
  },
});

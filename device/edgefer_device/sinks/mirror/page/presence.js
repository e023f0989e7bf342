// @ts-check
/** Who is there: the first moments of whoever comes, and the rest while nobody is. */

const ABSENCE = 30_000; // ms without a face, after which the next one has arrived
const ARRIVAL = 20_000; // ms for which that is marked
const LINGER = 20_000; // ms without a face, or without touch, after which the page rests

/** Keeps `body[data-arrival]` and `body[data-idle]`. */
export class Presence {
  /**
   * @param {{ onArrive: () => void, onRest: (resting: boolean) => void }} handlers
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.left = -ABSENCE; // ms: when the last face went
    this.somebody = false;
    this.nobody = false;
    this.arrival = 0;
    this.rest = 0;
    this.waking = false;
    for (const event of ["pointerdown", "pointermove", "keydown", "focusin"]) {
      addEventListener(event, () => this.#wake());
    }
    // The touch that wakes presses nothing: its click comes when the page is awake already.
    for (const event of ["pointerdown", "keydown"]) {
      addEventListener(event, () => { this.waking = event === "pointerdown" && isIdle(); }, true);
    }
    addEventListener("click", (event) => {
      if (!this.waking) return;
      event.preventDefault();
      event.stopPropagation();
    }, true);
  }

  /**
   * @param {boolean} somebody  is in view now
   * @param {boolean} nobody  is: known, not only unseen
   */
  update(somebody, nobody) {
    const now = performance.now();
    if (somebody && !this.somebody && now - this.left >= ABSENCE) this.#arrive();
    if (this.somebody && !somebody) this.left = now;
    this.somebody = somebody;
    if (nobody !== this.nobody) {
      this.nobody = nobody;
      this.#wake();
    }
  }

  #arrive() {
    document.body.toggleAttribute("data-arrival", true);
    this.handlers.onArrive();
    clearTimeout(this.arrival);
    this.arrival = setTimeout(() => document.body.removeAttribute("data-arrival"), ARRIVAL);
  }

  #wake() {
    clearTimeout(this.rest);
    if (isIdle()) {
      document.body.removeAttribute("data-idle");
      this.handlers.onRest(false);
    }
    if (this.nobody) this.rest = setTimeout(() => this.#sleep(), LINGER);
  }

  #sleep() {
    document.body.toggleAttribute("data-idle", true);
    this.handlers.onRest(true);
  }
}

function isIdle() {
  return document.body.hasAttribute("data-idle");
}

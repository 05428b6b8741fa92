// Measures how long a person works on a question: the page is visible, and they did something not long ago.

const SIGNS = ["pointermove", "pointerdown", "wheel", "keydown", "touchstart", "touchmove"];
const MOST = 86_400; // seconds that the server takes

/** Counts seconds while the page is visible, but at most `idle` seconds after the last sign of the person. */
export class ActiveClock {
  constructor(idle) {
    this.idle = 1000 * idle;
    this.start(0);
    for (const sign of SIGNS) document.addEventListener(sign, () => this.#sign(), { passive: true, capture: true });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#count() : this.#sign()));
  }

  /** Begin with a question for which so many seconds were counted before. Showing it is a sign of the person. */
  start(seconds) {
    this.spent = 1000 * seconds;
    this.since = document.hidden ? null : performance.now(); // up to here it is counted; null: hidden
    this.signed = performance.now();
  }

  get seconds() {
    this.#count();
    return Math.min(MOST, Math.round(this.spent / 10) / 100);
  }

  #sign() {
    this.#count();
    this.signed = performance.now();
  }

  #count() {
    const now = performance.now();
    if (this.since !== null) this.spent += Math.max(0, Math.min(now, this.signed + this.idle) - this.since);
    this.since = document.hidden ? null : now;
  }
}

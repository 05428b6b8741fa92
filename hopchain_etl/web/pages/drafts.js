// Stores per person, in this browser, what must survive a reload, a crash or an expired login.

const KEPT = 8; // drafts and undo steps

/** Drafts of one person on this device. If storage is blocked, they are kept only as long as the page is open. */
export class Drafts {
  constructor(person) {
    this.key = `hopchain:desk:${person}`;
    const blank = { drafts: {}, pending: null, past: [], letters: true };
    this.held = { ...blank, ...this.#read() };
  }

  /** The draft of a query: `{answer, seconds}`. */
  of(query) {
    return this.held.drafts[query] ?? { answer: "", seconds: 0 };
  }

  keep(query, draft) {
    delete this.held.drafts[query];
    this.held.drafts[query] = draft; // the newest is last
    const names = Object.keys(this.held.drafts);
    for (const old of names.slice(0, Math.max(0, names.length - KEPT))) delete this.held.drafts[old];
    this.#write();
  }

  /** The submitted answer that is not acknowledged yet. */
  get pending() {
    return this.held.pending;
  }

  set pending(entry) {
    this.held.pending = entry;
    this.#write();
  }

  /** Remember a step that can be undone: `{query_id, what, answer, at}`. */
  done(step) {
    delete this.held.drafts[step.query_id];
    this.held.past = [...this.held.past, step].slice(-KEPT);
    this.#write();
  }

  /** The last step, if it is not older than `seconds`. */
  last(seconds) {
    const step = this.held.past.at(-1);
    return step && Date.now() - step.at < 1000 * seconds ? step : null;
  }

  forgetLast() {
    this.held.past.pop();
    this.#write();
  }

  get letters() {
    return this.held.letters;
  }

  set letters(on) {
    this.held.letters = on;
    this.#write();
  }

  #read() {
    try {
      return JSON.parse(window.localStorage.getItem(this.key)) ?? {};
    } catch {
      return {};
    }
  }

  #write() {
    try {
      window.localStorage.setItem(this.key, JSON.stringify(this.held));
    } catch {
      // storage is blocked or full: the page still has everything in memory
    }
  }
}

/** Counts seconds while the page is visible. */
export class Clock {
  constructor() {
    this.spent = 0;
    this.since = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.#resume()));
  }

  start(seconds) {
    this.spent = 1000 * seconds;
    this.since = null;
    if (!document.hidden) this.#resume();
  }

  pause() {
    this.spent = 1000 * this.seconds;
    this.since = null;
  }

  get seconds() {
    const running = this.since === null ? 0 : performance.now() - this.since;
    return Math.min(86_400, Math.round((this.spent + running) / 10) / 100);
  }

  #resume() {
    this.since ??= performance.now();
  }
}

// Stores per person, in this browser, what must survive a reload, a crash or an expired login.

const KEPT = 8; // drafts and undo steps

/** Drafts of one person on this device. If storage is blocked, they are kept only as long as the page is open. */
export class Drafts {
  constructor(person) {
    this.key = `hopchain:desk:${person}`;
    this.memory = { drafts: {}, pending: null, past: [], letters: true }; // used alone where storage is blocked
    window.addEventListener("storage", (event) => { if (event.key === this.key) this.onchange?.(); });
  }

  /** What is kept now. It is read each time, because another tab of the same person may have changed it. */
  get held() {
    this.memory = { ...this.memory, ...this.#read() };
    return this.memory;
  }

  /** The draft of a query: `{answer, seconds, active, unsure}`; `active` is undefined in drafts of earlier versions. */
  of(query) {
    return this.held.drafts[query] ?? { answer: "", seconds: 0 };
  }

  keep(query, draft) {
    this.#change((held) => {
      delete held.drafts[query];
      held.drafts[query] = draft; // the newest is last
      const names = Object.keys(held.drafts);
      for (const old of names.slice(0, Math.max(0, names.length - KEPT))) delete held.drafts[old];
    });
  }

  /** The submitted answer that is not acknowledged yet. */
  get pending() {
    return this.held.pending;
  }

  set pending(entry) {
    this.#change((held) => { held.pending = entry; });
  }

  /** Remember a step that can be undone: `{query_id, answer_id, what, answer, unsure, at}`; a skip has no `answer_id`. */
  done(step) {
    this.#change((held) => {
      delete held.drafts[step.query_id];
      held.past = [...held.past, step].slice(-KEPT);
    });
  }

  /** The last step, if it is not older than `seconds`. */
  last(seconds) {
    const step = this.held.past.at(-1);
    return step && Date.now() - step.at < 1000 * seconds ? step : null;
  }

  /** The questions about which something was sent last. */
  get recent() {
    return this.held.past.map((step) => step.query_id);
  }

  /** Forget the step of a query, because it is taken back. */
  forget(query) {
    this.#change((held) => { held.past = held.past.filter((step) => step.query_id !== query); });
  }

  /** Forget the skips, because they were brought back. */
  forgetSkips() {
    this.#change((held) => { held.past = held.past.filter((step) => step.answer_id); });
  }

  /** Whether a query was answered or skipped here or in another tab. */
  isDone(query) {
    return this.held.past.some((step) => step.query_id === query);
  }

  get letters() {
    return this.held.letters;
  }

  set letters(on) {
    this.#change((held) => { held.letters = on; });
  }

  #change(act) {
    const { held } = this;
    act(held);
    this.#write(held);
  }

  #read() {
    try {
      return JSON.parse(window.localStorage.getItem(this.key)) ?? {};
    } catch {
      return {};
    }
  }

  #write(held) {
    try {
      window.localStorage.setItem(this.key, JSON.stringify(held));
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

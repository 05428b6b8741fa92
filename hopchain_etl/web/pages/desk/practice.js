// The practice round: drawn pictures whose answers are explained, and what is said of practice that is needed.

import { byId, call, el, say } from "../shared/common.js";
import { t } from "../shared/i18n.js";
import { later, mention, nameSend, notice, show, stopWaiting } from "./page.js";
import { beforeStart, notYet } from "./qualification.js";
import { insist, once } from "./sending.js";

export class Practice {
  /** `next` asks for the next real question; `begin` is called when practice takes the page over. */
  constructor(next, begin) {
    Object.assign(this, { next, begin, round: null, requested: null });
  }

  /** Whether a practice question is shown. */
  get running() {
    return this.round !== null;
  }

  async start() {
    const told = (await this.requested) ?? (await insist(() => call("api/practice")));
    this.requested = null;
    if (!told.tasks.length) {
      say(t("There is no practice round on this server."));
      await this.next();
      return;
    }
    this.begin();
    this.round = { tasks: told.tasks, at: 0, answered: false };
    say("");
    this.#show();
  }

  #show() {
    const { tasks, at } = this.round;
    this.round.answered = false;
    byId("mode").hidden = false;
    byId("progress").hidden = byId("unskip").hidden = true; // it counts answers, and these are none
    byId("mode").textContent = t("Practice {n} of {all}: these answers are not counted", { n: at + 1, all: tasks.length });
    byId("others").hidden = byId("notes").hidden = true;
    nameSend(t("Check"));
    show(tasks[at].question, tasks[at].image, tasks[at].width, tasks[at].height, { answer: "", seconds: 0 });
  }

  /** Check an answer and explain it; pressed again, go on. */
  async check(answer) {
    const { tasks, at, answered } = this.round;
    const last = at + 1 === tasks.length;
    if (answered) {
      this.round.at += 1;
      if (last) await this.#end();
      else this.#show();
      return;
    }
    const told = await insist(() => call(`api/practice/${tasks[at].number}`, { answer }));
    this.round.answered = true;
    nameSend(!last ? t("Next") : told.qualification ? t("See the result") : t("Start the real questions"));
    byId("feedback").replaceChildren(el("div", { class: "feedback", data: { right: told.right ? "yes" : "no" } },
      el("strong", {}, told.right ? t("Correct.") : t("Not correct: the answer is {answer}.", told)),
      ...told.explanation.split("\n").map((line) => el("p", { lang: "en" }, line))));
    byId("feedback").scrollIntoView({ block: "nearest" });
  }

  async #end() {
    const told = await insist(() => call("api/practised", {}));
    this.#leave();
    if (told.qualification) {
      this.need(told.qualification);
      return;
    }
    mention(t("Practice finished. From now on your answers count."), "good");
    await this.next();
  }

  #leave() {
    this.round = null;
    byId("mode").hidden = true;
    byId("progress").hidden = false;
    byId("others").hidden = byId("notes").hidden = false;
    nameSend(t("Send"));
  }

  /** Offer it to who has not practised yet; `state` is null if no practice is needed. */
  offer(state) {
    this.#notice(t("Before you start"), beforeStart(state), t("Start the practice round"));
  }

  /** Say what is missing before the first question. */
  need(state) {
    this.begin();
    stopWaiting();
    byId("progress").hidden = true; // there is none yet
    const [title, text] = notYet(state);
    this.#notice(title, text, state.over ? null : t("Practise"));
    if (state.over) later(() => once(this.next)); // a lead may admit them
  }

  #notice(title, text, button) {
    this.requested = call("api/practice").catch(() => null); // while the person reads; requested again when needed
    notice(title, text, el("p", { class: "actions" },
      button && el("button", { type: "button", class: "primary", on: { click: () => once(() => this.start()) } }, button),
      el("a", { class: "button", href: "guidelines" }, t("Read the guidelines"))));
  }
}

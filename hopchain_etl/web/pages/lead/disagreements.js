// Disagreements of a batch on the lead's page: each with its photo, answers, the program's hops and a label.

import { byId, call, count, datasetLink, el, hopWords } from "../shared/common.js";
import { Labels } from "./adjudicate.js";

const PAGE = 10; // at a time

export class Disagreements {
  /** `changed` is called after a new batch was made of marked questions. */
  constructor(changed) {
    this.shown = 0;
    this.asked = 0; // counts requests: of several, as after a double click, only the last one's answer is shown
    this.labels = new Labels(changed);
  }

  clear() {
    this.shown = 0;
    byId("disagreements").replaceChildren();
  }

  /** Show the next ones of a batch. */
  async more(batch) {
    const mine = ++this.asked;
    await this.labels.load(batch);
    const told = await call(`api/lead/batches/${encodeURIComponent(batch)}/disagreements?offset=${this.shown}&limit=${PAGE}`);
    if (mine !== this.asked) return;
    this.shown += told.items.length;
    byId("disagreements").append(...told.items.map((one) => disagreement(one, this.labels.element(one))));
    byId("disagreements-count").textContent = told.total ? `${count(this.shown)} of ${count(told.total)}` : "none";
    byId("more").hidden = this.shown >= told.total || !told.items.length;
  }
}

/** Remove trailing zeros of a number: 2.50 becomes 2.5. */
function plain(text) {
  if (text === null || text === undefined || !text.includes(".")) return text;
  return text.replace(/0+$/, "").replace(/\.$/, "");
}

function disagreement(one, label) {
  const votes = one.answers.map((answer) => plain(answer.answer)).filter((answer) => answer !== null);
  const often = (answer) => votes.filter((other) => other === answer).length;
  const ranked = [...new Set(votes)].sort((a, b) => often(b) - often(a));
  const leads = ranked.length === 1 || often(ranked[0]) > often(ranked[1]); // a tie has no majority
  const most = plain(one.final) ?? (leads ? ranked[0] : undefined);
  const kinds = { kept: "good", dropped: "bad", open: "warn" };
  return el("article", { class: "case" },
    el("button", { type: "button", class: "photo", title: "Enlarge", on: { click: () => enlarge(one) } },
      el("img", { src: one.image, width: one.width, height: one.height, loading: "lazy", alt: `Photo of: ${one.question}` })),
    el("div", {},
      el("p", {}, el("span", { class: "badge", data: { kind: kinds[one.decision] } }, one.decision), " ", one.question, " ",
        one.lineage && el("a", { href: datasetLink(one) }, "In the dataset")),
      el("ul", { class: "answers", "aria-label": "Answers" },
        one.answers.map((answer) => answerBox(answer, most)),
        el("li", { class: "program", data: { kind: kindOf(one.program_answer, most) } }, el("b", {}, one.program_answer ?? "–"), el("small", {}, "the program"))),
      el("details", {}, el("summary", {}, `Hops of the program: ${one.expr ?? ""}`),
        el("ol", { class: "hops" }, one.hops.map((hop) => el("li", {}, el("div", { class: "look" },
          el("span", { class: "hop" }, String(hop.number)),
          hopWords(hop)))))),
      label));
}

/** Compare an answer with the majority; without a majority only rejects are marked. */
function kindOf(answer, most) {
  if (answer === null) return "differs";
  if (most === undefined) return "";
  return plain(answer) === most ? "agrees" : "differs";
}

function answerBox(answer, most) {
  return el("li", { data: { kind: kindOf(answer.answer, most) } },
    el("b", {}, answer.answer ?? "reject"),
    el("small", {}, answer.annotator, answer.seconds === null ? "" : `, ${answer.seconds.toFixed(0)} s`),
    answer.unsure && el("small", {}, el("span", { class: "badge", data: { kind: "warn" } }, "not sure")),
    answer.reject_reason && el("small", {}, answer.reject_reason.replaceAll("_", " "), answer.comment ? `: ${answer.comment}` : ""));
}

function enlarge(one) {
  const box = el("dialog", { class: "large", "aria-label": "Photo" },
    el("img", { id: "large-photo", src: one.image, alt: `Photo of: ${one.question}` }), el("p", {}, one.question),
    el("div", { class: "actions" }, el("button", { type: "button", on: { click: () => box.close() } }, "Close")));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

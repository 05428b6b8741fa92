// One batch on the lead's page: how far it is, why it waits, its annotators and the reasons of rejects.

import { byId, call, count, decimal, el, percent, titled } from "../shared/common.js";
import { number, table } from "../shared/table.js";

/** Say why a batch does not move. */
function waitingWords({ questions, short, only_skips, beyond_cap, people: many, skips, capped }) {
  const skipped = skips.map((one) => `${one.annotator} ${count(one.questions)}`).join(", ");
  return [
    `${count(questions)} questions wait for answers.`,
    short ? `${count(short)} of them cannot be finished by the ${count(many)} known people who may answer: too few have not answered or skipped them. Assign more people.` : "",
    only_skips ? `For ${count(only_skips)} there are enough people if they bring back their skips.` : "",
    skipped && `Skipped: ${skipped}.`,
    capped.length ? `Have their share: ${capped.join(", ")}.` : "",
    beyond_cap ? `${count(beyond_cap)} questions wait for them all the same, because too few others are left.` : "",
  ].filter(Boolean).join(" ");
}

/** Show the figures of a batch, if it is `wanted` still when they come. */
export async function showDetail(one, wanted) {
  const path = `api/lead/batches/${encodeURIComponent(one.id)}`;
  const [told, waiting] = await Promise.all([call(`${path}/agreement`), call(`${path}/waiting`)]);
  if (!wanted()) return;
  byId("waiting").textContent = waitingWords(waiting);
  byId("waiting").hidden = !waiting.questions;
  byId("detail-title").textContent = `${titled(one)}: ${one.rule}, ${one.state}`;
  byId("csv").href = `${path}/answers.csv`;
  byId("close").disabled = byId("assign").disabled = one.state !== "open";
  byId("reopen").hidden = !(one.state === "closed" || (one.state === "decided" && one.open));
  const figures = [
    ["Decided", count(told.decided), `of ${count(one.queries)} questions`],
    ["Unanimous", percent(told.unanimous_share), "of those decided"],
    ["Alpha, first two", decimal(told.alpha_first_two), "Krippendorff, first two answers"],
    ["Alpha, all seats", decimal(told.alpha_full), `${count(told.full_queries)} questions with all seats filled`],
    ["Differs from the program", percent(told.program_differs_share), "of final answers"],
  ];
  byId("figures").replaceChildren(...figures.map(([label, value, small]) =>
    el("div", {}, el("dt", {}, label), el("dd", {}, value, el("small", {}, small)))));
  byId("people").replaceChildren(told.annotators.length ? table("Annotators of this batch",
    [["Annotator"], ["Answers", "number"], ["Rejects", "number"], ["Agreement with others", "number"], ["Known answers", "number"], ["Median time", "number"]],
    told.annotators.map((who) => el("tr", {},
      el("th", { scope: "row" }, who.annotator, " ", who.voided && el("span", { class: "badge", data: { kind: "bad" } }, "void")),
      number(count(who.answers)), number(count(who.rejects)), number(percent(who.agree_with_rest)),
      number(who.gold_asked ? `${who.gold_right} of ${who.gold_asked}` : "–"),
      number(who.median_seconds === null ? "–" : `${who.median_seconds.toFixed(0)} s`))))
    : el("p", { class: "empty" }, "No answers yet."));
  const reasons = Object.entries(told.reject_reasons).sort(([, a], [, b]) => b - a);
  const most = Math.max(1, ...reasons.map(([, many]) => many));
  byId("rejects").replaceChildren(reasons.length
    ? el("div", { class: "bars" }, reasons.flatMap(([reason, many]) => [
      el("span", {}, reason.replaceAll("_", " ")), el("i", { style: { width: `${(100 * many) / most}%` } }), el("span", {}, count(many))]))
    : el("p", { class: "soft" }, "No rejects."));
}

// --- people and known answers ---

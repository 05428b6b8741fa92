// On the lead's page: comments of annotators that wait for an answer, and answers of which people are not sure.

import { batchName, byId, call, count, datasetLink, el, say, trying } from "../shared/common.js";
import { clock, thread, write } from "../shared/comment-box.js";

const FRESH = 30_000; // ms
const MANY = 20; // of each list

const button = (text, label, click) => el("button", { type: "button", class: "small-button", "aria-label": label, on: { click: () => trying(click) } }, text);

/** A question with its photo, and where it is; `parts` stand below. */
const about = (one, actions, ...parts) => el("li", {},
  one.image ? el("a", { href: one.image, target: "_blank", "aria-label": `Photo of: ${one.question}` }, el("img", { src: one.image, alt: "", loading: "lazy" })) : el("span", { class: "soft" }, "(photo withdrawn)"),
  el("div", {}, el("p", {}, one.question ?? "The photo of this question was withdrawn."), ...parts,
    el("p", { class: "soft" }, one.is_check ? "a known answer" : one.batch ? batchName(one.batch) : "", " ",
      one.question && one.lineage && el("a", { href: datasetLink(one) }, "In the dataset"))),
  el("div", { class: "actions" }, actions));

function waiting(one) {
  const who = { annotator: one.annotator, query_id: one.query_id };
  const answer = () => write(`Answer ${one.annotator}`, one.messages.at(-1).text, "Send", (text) => call("api/lead/comments", { ...who, text })).then((sent) => sent && trying(load));
  const done = async () => {
    await call("api/lead/comments/done", who);
    say("The comment is done.", "good");
    await load();
  };
  return about(one, [
    button("Answer …", `Answer ${one.annotator} …`, answer), button("No answer needed", `No answer to ${one.annotator} needed`, done),
  ], thread(one.messages, (by) => by));
}

const unsure = (one) => about(one, [], el("p", {}, el("b", {}, one.answer), " ", el("span", { class: "soft" }, `${one.annotator}, ${clock(one.at)}`)));

const heading = (text, told) => `${text}: ${count(told.total)}${told.total > told.items.length ? `, the first ${count(told.items.length)} are listed` : ""}`;

async function load() {
  const [comments, doubts] = await Promise.all([call(`api/lead/comments?limit=${MANY}`), call(`api/lead/comments/unsure?limit=${MANY}`)]);
  byId("comments-card").hidden = !comments.total && !doubts.total;
  byId("comments-title").textContent = heading("Comments that wait for an answer", comments);
  byId("comments").replaceChildren(...comments.items.map(waiting));
  for (const name of ["unsure-title", "unsure-meaning"]) byId(name).hidden = !doubts.total;
  byId("comments-title").hidden = !comments.total;
  byId("unsure-title").textContent = heading("Answers of which people are not sure", doubts);
  byId("unsure").replaceChildren(...doubts.items.map(unsure));
}

trying(load);
byId("refresh").addEventListener("click", () => trying(load));
setInterval(() => { if (!document.hidden && !document.querySelector("dialog[open]")) trying(load); }, FRESH);

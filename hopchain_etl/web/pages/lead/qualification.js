// On the lead's page: who is paused or has to practise, the answers to look at, and letting people go on.

import { batchName, byId, call, confirmIn, count, day, el, say, trying } from "../shared/common.js";

const FRESH = 30_000; // ms

const time = (at) => (at ? `${day(at)}, ${new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}` : "the start");
const row = (name, badge, kind, text, ...actions) => el("li", {}, el("b", {}, name), " ",
  el("span", { class: "badge", data: { kind } }, badge), " ", text, el("span", { class: "actions" }, actions));
const button = (text, label, click) => el("button", { type: "button", class: "small-button", "aria-label": label, on: { click: () => trying(click) } }, text);

function pauseRow(one) {
  const votes = button("Look at them", `Look at the answers of ${one.annotator}`, () => showVotes(one.annotator));
  if (one.kind === "lifted") return row(one.annotator, "goes on", "good", `since ${time(one.at)}, by ${one.by}`);
  return row(one.annotator, "paused", "bad",
    `${one.right} of the last ${one.of} known answers right, since ${time(one.at)}. ${count(one.votes)} answers since the last right one (${time(one.since)}) are flagged; they still count.`,
    votes, button("Let go on …", `Let ${one.annotator} go on …`, () => letGoOn(one.annotator)));
}

const waitingRow = (one) => row(one.annotator, "practises", "warn",
  one.over ? "all practice rounds are over without enough right answers."
    : !one.answered && !one.finished ? `has not begun; ${one.needed} of ${one.of} right answers needed.`
    : `${count(one.right)} of ${count(one.answered)} right in round ${one.finished + 1}, ${one.needed} of ${one.of} needed${one.last === null ? "" : `; ${one.last} of ${one.of} in the round before`}.`,
  button("Let start …", `Let ${one.annotator} start …`, () => letStart(one.annotator)));

async function load() {
  const told = await call("api/lead/qualification");
  byId("qualification-card").hidden = !told.pauses.length && !told.waiting.length;
  const open = byId("flagged").dataset.person;
  if (open && !told.pauses.some((one) => one.annotator === open && one.kind === "paused")) byId("flagged").hidden = true;
  byId("qualification").replaceChildren(...told.pauses.map(pauseRow), ...told.waiting.map(waitingRow));
}

async function showVotes(name) {
  const told = await call(`api/lead/qualification/votes?annotator=${encodeURIComponent(name)}`);
  byId("flagged").hidden = false;
  byId("flagged").dataset.person = name;
  byId("flagged").replaceChildren(
    el("h3", { id: "flagged-title", tabindex: "-1" }, `${count(told.total)} answers of ${name} since the last right known answer`),
    told.items.length < told.total ? el("p", { class: "soft" }, `The newest ${count(told.items.length)} are listed.`) : "",
    el("ol", {}, told.items.map((one) => el("li", {}, el("b", {}, one.answer ?? `reject: ${one.reject_reason.replaceAll("_", " ")}`), " ",
      one.question ?? "(the photo was withdrawn)", " ", el("span", { class: "soft" }, `${batchName(one.batch)}, ${time(one.answered_at)}`), " ",
      one.question && el("a", { href: `api/queries/${one.query_id}/image?batch=${encodeURIComponent(one.batch)}`, target: "_blank" }, "photo")))));
  byId("flagged-title").focus();
}

async function letGoOn(name) {
  if (!(await confirmIn(`Let ${name} go on?`, "They get questions again. Their answers count as before; void them separately if they are not good.", "Let go on"))) return;
  await call("api/lead/qualification/lift", { annotator: name });
  say(`${name} gets questions again.`, "good");
  await load();
}

async function letStart(name) {
  if (!(await confirmIn(`Let ${name} start?`, "They get real questions without enough right practice answers.", "Let start"))) return;
  await call("api/lead/qualification/admit", { annotator: name });
  say(`${name} gets questions now.`, "good");
  await load();
}

trying(load);
byId("refresh").addEventListener("click", () => trying(load));
setInterval(() => { if (!document.hidden && !document.querySelector("dialog[open]")) trying(load); }, FRESH);

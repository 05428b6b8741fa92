// What an annotator did today, what they can still change, and their comments with the lead's answers.

import { byId, call, count, el, trying } from "../shared/common.js";
import { clock, thread, write } from "../shared/comment-box.js";
import { fromServer, t } from "../shared/i18n.js";
import { navigation, unread } from "../shared/navigation.js";
import { Drafts } from "./drafts.js";

const PAGE = 30; // rows at a time
const TICK = 5_000; // ms between updates of the time that is left

let me;
let shown = 0;
let asked = 0; // counts requests for rows
let ahead = 0; // ms by which the server's clock is ahead of this one

// --- rows ---

const reason = (code) => fromServer(me.reasons.find((one) => one.code === code)?.label ?? code);

function given(one) {
  if (one.skipped) return t("skipped");
  return one.answer ?? t("rejected: {reason}", { reason: reason(one.reject_reason) });
}

/** The address of the desk where this answer is taken back and given anew. */
function changing(one) {
  const step = { change: one.query_id, ...(one.answer_id && { id: one.answer_id }), ...(one.answer && { answer: one.answer }), ...(one.unsure && { unsure: 1 }) };
  return `annotate#${new URLSearchParams(step)}`;
}

function row(one) {
  const change = el("span", { class: "actions" },
    el("a", { class: "button small-button", href: changing(one), "aria-label": one.skipped ? t("Answer: {question}", one) : t("Change: {question}", one) }, one.skipped ? t("Answer it") : t("Change")),
    el("span", { class: "soft left" }));
  return el("li", { data: { until: one.until ?? "" } },
    el("img", { src: one.image, alt: "", loading: "lazy" }),
    el("div", {},
      el("p", {}, el("span", { class: "soft" }, clock(one.at)), " ", el("span", { class: "given" }, given(one)), " ",
        one.unsure && el("span", { class: "badge", data: { kind: "warn" } }, t("not sure"))),
      el("p", { lang: "en" }, one.question),
      one.comment && el("p", { class: "soft" }, one.comment)),
    el("div", { class: "actions" }, change,
      el("button", { type: "button", class: "small-button", "aria-label": t("Comment: {question}", one), on: { click: () => comment(one) } }, t("Comment …"))));
}

/** Say for each row how long it can still be changed; take the button away when that is over. */
function tick() {
  for (const item of byId("rows").querySelectorAll("li[data-until]")) {
    const place = item.querySelector(".actions .actions");
    const left = item.dataset.until ? (Date.parse(item.dataset.until) - Date.now() - ahead) / 1000 : 0;
    if (left > 0) place.querySelector(".left").textContent = left < 90 ? t("{n} s left", { n: Math.ceil(left) }) : t("{n} min left", { n: Math.floor(left / 60) });
    else if (place.firstChild.nodeName === "A") place.replaceChildren(el("span", { class: "soft" }, t("final")));
  }
}

async function more() {
  const mine = ++asked;
  const recent = new Drafts(me.name).recent.map((query) => `&recent=${query}`).join("");
  const told = await call(`api/mine?offset=${shown}&limit=${PAGE}${recent}`);
  if (mine !== asked) return; // asked again meanwhile, as by a double click
  ahead = Date.parse(told.now) - Date.now();
  shown += told.items.length;
  byId("rows").append(...told.items.map(row));
  if (!told.total) byId("rows").replaceChildren(el("li", { class: "empty" }, t("Nothing yet today.")));
  byId("more").hidden = shown >= told.total || !told.items.length;
  const figures = [
    [t("Answers"), count(told.answers)], [t("Rejects"), count(told.rejects)], [t("Skips"), count(told.skips)],
    [t("Active time"), t("{n} min", { n: told.active_minutes.toFixed(0) })],
    [t("Answers an active hour"), told.per_hour === null ? "–" : count(told.per_hour)],
  ];
  byId("figures").replaceChildren(...figures.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value))));
  byId("meaning").textContent = t("{day}, a day in UTC. Active time: a question was visible, and you did something in the last {seconds} seconds. "
    + "Rejects count as answers in the last figure; what you took back is not listed. Skips and late answers leave the list when their batch is finished.",
  { day: told.day, seconds: count(me.idle_seconds) });
  tick();
}

// --- comments ---

async function comment(one) {
  const sent = await write(t("Comment to the lead"), one.question, t("Send"), (text) => call("api/mine/comments", { query_id: one.query_id, text }));
  if (sent) await trying(comments);
}

async function comments() {
  const { items } = await call("api/mine/comments");
  byId("comments-card").hidden = !items.length;
  byId("comments").replaceChildren(...items.map((one) => el("li", {},
    el("img", { src: one.image, alt: "", loading: "lazy" }),
    el("div", {},
      one.unread && el("p", {}, el("span", { class: "badge", data: { kind: "good" } }, t("new answer"))),
      el("p", { lang: "en" }, one.question), thread(one.messages, (by) => (by === "you" ? t("You") : t("Lead")))),
    el("div", { class: "actions" },
      el("button", { type: "button", class: "small-button", "aria-label": t("Write again: {question}", one), on: { click: () => comment(one) } }, t("Write again …"))))));
  if (items.some((one) => one.unread)) unread((await call("api/mine/comments/read", {})).unread);
}

async function refresh() {
  shown = 0;
  byId("rows").replaceChildren();
  await Promise.all([more(), comments()]);
}

async function start() {
  me = await call("api/me");
  navigation(me, "my-work");
  byId("refresh").addEventListener("click", () => trying(refresh));
  byId("more").addEventListener("click", () => trying(more));
  setInterval(tick, TICK);
  await refresh();
}

trying(start);

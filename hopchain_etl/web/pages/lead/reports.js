// The lead's reports: people, pairs of people and days of a period, and files of all of it.

import { byId, call, count, el, percent, trying } from "../shared/common.js";
import { navigation } from "../shared/navigation.js";
import { number, table } from "../shared/table.js";

const FEW = 5; // comparisons that say nothing yet
const PAGE = 50; // days at a time
const FILES = [
  ["timesheet.csv", "Time sheet (CSV)"], ["days.csv", "Days (CSV)"], ["days.jsonl", "Days (JSONL)"],
  ["pairs.csv", "Pairs (CSV)"], ["answers.csv", "All answers (CSV)"], ["answers.jsonl", "All answers (JSONL)"],
  ["checks.csv", "Known answers (CSV)"], ["checks.jsonl", "Known answers (JSONL)"], ["labels.csv", "Labels (CSV)"],
  ["labels.jsonl", "Labels (JSONL)"],
];

let days = [];
let shown = 0;
let asked = 0; // the newest request; replies to earlier ones are dropped

// --- the period ---

const iso = (when) => when.toISOString().slice(0, 10);

/** Write the chosen span into the two dates. */
function chooseSpan() {
  const span = byId("span").value;
  const today = new Date();
  if (span === "own") return;
  byId("last").value = span === "all" ? "" : iso(today);
  byId("first").value = span === "all" ? "" : iso(new Date(today - 86_400_000 * Number(span)));
}

const period = () => new URLSearchParams(["first", "last"].filter((id) => byId(id).value).map((id) => [id, byId(id).value]));

// --- tables ---

const minutes = (many) => (many >= 60 ? `${Math.floor(many / 60)} h ${String(Math.floor(many % 60)).padStart(2, "0")} min` : `${many.toFixed(1)} min`);
const when = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 16)}` : "–");

const MEASURES = [
  ["Answers", "number"], ["Rejects", "number"], ["Late", "number"], ["Active time", "number"], ["Agreement", "number"],
  ["Known answers", "number"], ["Skips", "number"], ["Too fast", "number"],
];

const measures = (one) => [
  number(count(one.answers)), number(count(one.rejects)), number(count(one.late)), number(minutes(one.active_minutes)),
  number(percent(one.agreement)),
  number(one.checks ? `${one.checks_right} of ${one.checks}` : "–", one.checks && one.checks_right < one.checks),
  number(count(one.skips)), number(count(one.too_fast), one.too_fast > 0),
];

function showPeople(people) {
  byId("people").replaceChildren(people.length ? table("People in this period",
    [["Annotator"], ...MEASURES, ["Last seen (UTC)"]],
    people.map((one) => el("tr", {},
      el("th", { scope: "row" }, one.annotator, " ", one.voided && el("span", { class: "badge", data: { kind: "bad" } }, "void")),
      measures(one), el("td", {}, when(one.last_seen)))))
    : el("p", { class: "empty" }, "Nobody has done anything in this period."));
}

/** The agreement of each two people; the number stands in the cell, the colour only repeats it. */
function showPairs(pairs) {
  const names = [...new Set(pairs.map((one) => one.annotator))].sort();
  const told = new Map(pairs.map((one) => [JSON.stringify([one.annotator, one.other]), one]));
  const cell = (row, column) => {
    const one = told.get(JSON.stringify([row, column]));
    if (!one?.compared) return el("td", {}, row === column ? "" : "–");
    return el("td", { data: { level: level(one) } }, percent(one.agreement), el("small", {}, `of ${count(one.compared)}`));
  };
  byId("pairs").replaceChildren(names.length ? el("table", { class: "heat" },
    el("caption", { class: "unseen" }, "Agreement of two people"),
    el("thead", {}, el("tr", {}, el("td", {}), names.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, names.map((row) => el("tr", {}, el("th", { scope: "row" }, row), names.map((column) => cell(row, column))))))
    : el("p", { class: "empty" }, "No question has two answers in this period."));
}

function level({ compared, agreement }) {
  if (compared < FEW) return "few";
  return agreement < 0.7 ? "low" : agreement < 0.9 ? "middle" : "high";
}

function moreDays() {
  const rows = days.slice(shown, shown + PAGE).map((one) => el("tr", {},
    el("th", { scope: "row" }, one.day), el("td", {}, one.annotator), measures(one)));
  shown += rows.length;
  const body = byId("days").querySelector("tbody");
  if (body) body.append(...rows);
  else byId("days").replaceChildren(rows.length
    ? table("Each person on each day, the newest first", [["Day (UTC)"], ["Annotator"], ...MEASURES], rows)
    : el("p", { class: "empty" }, "None."));
  byId("more").hidden = shown >= days.length;
}

/** How often each label was given; one table for kinds of questions, relations and categories each. */
async function showLabels() {
  const told = await call("api/lead/adjudications/report");
  byId("labels-card").hidden = !told.labelled;
  const codes = Object.keys(told.labels);
  const heads = (first) => [[first], ["Labelled", "number"], ...codes.map((code) => [code.replaceAll("_", " "), "number"])];
  byId("labels").replaceChildren(...[["kind", "Kind of question"], ["relation", "Relation"], ["category", "Category"]].map(([dimension, label]) =>
    el("div", { class: "scrolls", tabindex: "0", role: "group", "aria-label": label }, table(label, heads(label),
      told.rows.filter((row) => row.dimension === dimension).map((row) => el("tr", {}, el("th", { scope: "row", class: "value" }, row.value),
        number(count(row.labelled)), codes.map((code) => number(count(row[code])))))))));
}

async function load() {
  asked += 1;
  const mine = asked;
  byId("files").replaceChildren(...FILES.map(([file, label]) => {
    const query = period();
    query.set("file", file);
    return el("li", {}, el("a", { class: "button small-button", href: `api/lead/reports/files?${query}`, download: true }, label));
  }));
  const told = await call(`api/lead/reports?${period()}`);
  if (mine !== asked) return;
  byId("meaning").textContent = `Active time: a question was visible, and the person did something in the last ${count(told.idle_seconds)} seconds. `
    + `Too fast: an answer in fewer than ${count(told.too_fast_seconds)} active seconds. Late: in answers and rejects too, but not counted, because the question was decided. `
    + "Votes of earlier versions say only how long the question was visible.";
  showPeople(told.people);
  showPairs(told.pairs);
  days = told.days;
  shown = 0;
  byId("days").replaceChildren();
  moreDays();
}

async function start() {
  navigation(await call("api/me"), "reports");
  byId("span").addEventListener("change", () => { chooseSpan(); trying(load); });
  for (const id of ["first", "last"]) {
    byId(id).addEventListener("change", () => { byId("span").value = "own"; trying(load); });
  }
  byId("more").addEventListener("click", moreDays);
  byId("period").addEventListener("submit", (event) => event.preventDefault());
  chooseSpan();
  await Promise.all([load(), showLabels()]);
}

trying(start);

// The lead's page: all batches, one of them in detail, and what can be done with it.

import { byId, call, confirmIn, count, el, say, titled, trying } from "../shared/common.js";
import { navigation } from "../shared/navigation.js";
import { number, table } from "../shared/table.js";
import { ask } from "./ask.js";
import { batchLabel, batchMarks, choiceField, detailsFields, detailsOf, dueWords } from "./batches.js";
import { showDetail } from "./detail.js";
import { Disagreements } from "./disagreements.js";
import { listenToGold, loadGold } from "./gold.js";
import { loadPeople, peopleField } from "./people.js";

const FRESH = 30_000; // ms between refreshes of the batch progress

let batches = [];
let chosen = null; // a batch's id
const disagreements = new Disagreements(() => choose(chosen));

// --- batches ---

async function loadBatches() {
  const told = await call("api/lead/batches");
  batches = told.batches;
  chosen ??= (batches.find((one) => one.state === "open") ?? batches.find((one) => one.state !== "broken"))?.id ?? null;
  const kinds = { open: "warn", decided: "good", closed: "", broken: "bad" };
  const shownBatches = withTag();
  byId("batches").replaceChildren(batches.length ? table("Batches, the newest first",
    [["Batch"], ["State"], ["Due"], ["Decided"], ["Kept", "number"], ["Dropped", "number"], ["Open", "number"], ["Answers", "number"],
      ["Late", "number"], ["For"]],
    shownBatches.map((one) => one.state === "broken" ? brokenRow(one) : el("tr", { "aria-selected": one.id === chosen ? "true" : "false" },
      el("th", { scope: "row" }, el("button", { type: "button", class: "link batch-name", title: one.id, on: { click: () => trying(() => choose(one.id)) } }, batchLabel(one)),
        el("div", { class: "marks" }, batchMarks(one))),
      el("td", {}, el("span", { class: "badge", data: { kind: kinds[one.state] } }, one.state)),
      el("td", { class: "due" }, dueWords(one)),
      el("td", {}, el("div", { class: "share" },
        el("progress", { max: Math.max(1, one.queries - one.withdrawn), value: one.kept + one.dropped, "aria-label": `${one.id}: decided` }),
        el("span", {}, `${count(one.kept + one.dropped)} of ${count(one.queries)}`,
          one.withdrawn > 0 && el("small", { title: "Their photos were withdrawn; they need no answers" }, `, ${count(one.withdrawn)} withdrawn`)))),
      number(count(one.kept)), number(count(one.dropped)), number(count(one.open)),
      number(`${count(one.seats_filled)} of ${count(one.seats_total)}`), number(count(one.late)),
      el("td", {}, one.assigned ? one.assigned.join(", ") : "all annotators"))))
    : el("p", { class: "empty" }, "No batches yet. A build creates one for its new questions; you can also create one here."));
}

/** The batches with the chosen tag; the choice is there if any batch has tags. */
function withTag() {
  const tags = [...new Set(batches.flatMap((one) => one.tags ?? []))].sort();
  const wanted = tags.includes(byId("tag").value) ? byId("tag").value : "";
  byId("tag-choice").hidden = !tags.length;
  byId("tag").replaceChildren(...["", ...tags].map((tag) => el("option", { value: tag, selected: tag === wanted }, tag || "all")));
  return batches.filter((one) => !wanted || one.tags?.includes(wanted));
}

/** A batch that cannot be read: why, and what to do; the others go on. */
function brokenRow(one) {
  return el("tr", {}, el("th", { scope: "row", title: one.id }, titled(one)),
    el("td", {}, el("span", { class: "badge", data: { kind: "bad" } }, "broken")),
    el("td", { colspan: 8 }, el("p", {}, one.reason), el("p", { class: "soft" }, one.remedy, " ",
      el("button", { type: "button", class: "small-button", on: { click: () => closeBatch(one.id) } }, "Close batch …"))));
}

/** Batches of wrong answers; the section is hidden where there is none. */
async function loadReviews() {
  const told = await call("api/reviews/batches");
  byId("reviews-card").hidden = told.batches.length === 0;
  byId("reviews").replaceChildren(table("Batches of wrong answers",
    [["Batch"], ["By"], ["Finished"], ["Opinions", "number"], ["People for each", "number"]],
    told.batches.map((one) => el("tr", {}, el("th", { scope: "row" }, one.name), one.broken
      ? el("td", { colspan: 4 }, el("span", { class: "badge", data: { kind: "bad" } }, "broken"), " The log of the web server says why.")
      : [el("td", {}, one.created_by),
        el("td", {}, el("div", { class: "share" },
          el("progress", { max: Math.max(1, one.items), value: one.finished, "aria-label": `${one.name}: finished` }),
          el("span", {}, `${count(one.finished)} of ${count(one.items)}`))),
        number(`${count(one.said)} of ${count(one.wanted)}`), number(count(one.seats))]))));
}

async function choose(id) {
  chosen = id;
  disagreements.clear();
  await refresh();
  if (chosen !== id) return; // another one was chosen meanwhile
  await disagreements.more(id);
  byId("detail-title").scrollIntoView({ block: "nearest" });
}

async function refresh() {
  await loadBatches();
  const one = batches.find((batch) => batch.id === chosen);
  byId("detail").hidden = !one || one.state === "broken";
  if (one && one.state !== "broken") await showDetail(one, () => one.id === chosen);
  await Promise.all([loadPeople(refresh), loadGold(), loadReviews()]);
}

function newBatch() {
  const sources = [["unasked", "questions that are in no batch yet"], ...batches.filter((one) => one.state !== "broken").map((one) => [one.id, `open questions of ${titled(one)}`])];
  const taken = (name) => batches.some((one) => one.id === name);
  const today = `batch-${new Date().toISOString().slice(0, 10)}`;
  let free = today;
  for (let number = 2; taken(free); number += 1) free = `${today}-${number}`;
  ask("New batch", "Create", [
    { name: "id", label: "Name", value: free, hint: "Letters, digits, dots, dashes; it stays." },
    { name: "source", label: "Questions", choices: sources },
    { name: "lineage", label: "Fingerprint", hint: "Only questions that were written under this fingerprint; empty: the newest one." },
    choiceField(),
    { name: "limit", label: "At most", kind: "number", hint: "Questions; empty: all." },
    peopleField("assigned", "For", [], batches.find((one) => one.seats)?.seats),
    ...detailsFields(),
  ], async ({ id, source, lineage, choice, limit, assigned, ...details }) => {
    const from = source === "unasked" ? { source, choice } : { source: "open_of", batch: source };
    const told = await call("api/lead/batches", {
      id, ...from, lineage: lineage || null, limit: limit ? Number(limit) : null, assigned, ...detailsOf(details),
    });
    say(`${titled(told.batch)} is open with ${count(told.batch.queries)} questions.`, "good");
    await trying(() => choose(told.batch.id));
  });
}

function assign() {
  const one = batches.find((batch) => batch.id === chosen);
  ask(`Who works on ${titled(one)}?`, "Assign", [peopleField("annotators", "Annotators", one.assigned ?? [], one.seats)],
  async ({ annotators }) => {
    await call(`api/lead/batches/${encodeURIComponent(chosen)}/assigned`, { annotators });
    say(`${titled(one)} is assigned.`, "good");
    await refresh();
  });
}

function edit() {
  const one = batches.find((batch) => batch.id === chosen);
  ask(`Edit ${titled(one)}`, "Save", detailsFields(one), async (values) => {
    try {
      await call(`api/lead/batches/${encodeURIComponent(one.id)}/details`, { ...detailsOf(values), based_on: one.number });
    } catch (error) {
      if (error.status !== 409) throw error;
      await loadBatches();
      throw new Error(`${error.message}. Close this window and open it again.`);
    }
    say("Saved.", "good");
    await refresh();
  });
}

async function reopen() {
  const one = batches.find((batch) => batch.id === chosen);
  const yes = await confirmIn(`Open ${titled(one)} again?`, "Its answers stay, and people are asked its open questions again. What it has decided stays decided.", "Open again");
  if (!yes) return;
  await trying(async () => {
    await call(`api/lead/batches/${encodeURIComponent(one.id)}/reopen`, {});
    say(`${titled(one)} is open again.`, "good");
    await refresh();
  });
}

async function closeBatch(id) {
  const name = titled(batches.find((batch) => batch.id === id));
  const yes = await confirmIn(`Close ${name}?`, "Its questions are no longer shown to annotators. Undecided questions are not released; it can be opened again, or another batch can include them.", "Close batch");
  if (!yes) return;
  await trying(async () => {
    await call(`api/lead/batches/${encodeURIComponent(id)}/close`, {});
    say(`${name} is closed.`, "good");
    await refresh();
  });
}

async function start() {
  const me = await call("api/me");
  navigation(me, "lead");
  const clicks = {
    refresh: () => trying(refresh), new: newBatch, assign, edit, reopen, close: () => closeBatch(chosen), more: () => trying(() => disagreements.more(chosen)),
  };
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", act);
  listenToGold(refresh);
  byId("tag").addEventListener("change", () => trying(loadBatches));
  setInterval(() => { if (!document.hidden && !document.querySelector("dialog[open]")) trying(refresh); }, FRESH);
  chosen = new URLSearchParams(window.location.search).get("batch"); // a link of the dataset browser
  await refresh();
  if (chosen) await disagreements.more(chosen);
}

trying(start);

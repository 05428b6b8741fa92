// The lead's page: batches, agreement of annotators, disagreements.

import { Labels } from "./adjudicate.js";
import { byId, call, confirmIn, count, datasetLink, decimal, el, hopWords, navigation, percent, say, titled, trying } from "./common.js";
import { batchLabel, batchMarks, choiceField, detailsFields, detailsOf, dueWords } from "./lead-batches.js";

const PAGE = 10; // disagreements at a time
const FRESH = 30_000; // ms between refreshes of the batch progress

let batches = [];
let chosen = null; // a batch's id
let people = []; // names of the annotators who may be asked
let shown = 0; // disagreements on the page
let labels; // of these

// --- small parts ---

function table(caption, heads, rows) {
  return el("table", {}, el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, heads.map(([label, kind]) => el("th", { scope: "col", class: kind }, label)))),
    el("tbody", {}, rows));
}

const cell = (text, kind) => el("td", { class: kind }, text);
const number = (text) => cell(text, "number");

/** Ask for fields in a dialog; `send` gets their values; an error it throws is shown in the dialog. */
function ask(heading, button, fields, send) {
  byId("ask-heading").textContent = heading;
  byId("ask-send").textContent = button;
  byId("ask-problem").textContent = "";
  byId("ask-fields").replaceChildren(...fields.map(fieldRow));
  byId("ask-form").onsubmit = async (event) => {
    event.preventDefault();
    const read = (one) => one.read?.() ?? (one.people ? chosenPeople() : byId(`ask-${one.name}`).value.trim());
    const values = Object.fromEntries(fields.map((one) => [one.name, read(one)]));
    try {
      await send(values);
      byId("ask-box").close();
    } catch (error) {
      byId("ask-problem").textContent = error.message;
    }
  };
  byId("ask-box").showModal();
  for (const one of fields) one.start?.();
}

function fieldRow({ name, label, hint, choices, people: chosenNames, value = "", kind = "text", row }) {
  if (row) return row;
  if (chosenNames) return peopleRow(label, hint, chosenNames);
  const id = `ask-${name}`;
  const described = hint ? `${id}-hint` : undefined;
  const input = choices
    ? el("select", { id, "aria-describedby": described }, choices.map(([code, text]) => el("option", { value: code, selected: code === value }, text)))
    : el("input", { id, type: kind, value, min: kind === "number" ? 1 : undefined, "aria-describedby": described, autocomplete: "off" });
  return el("div", { class: "row" }, el("label", { for: id }, label), input, hint && el("p", { class: "soft", id: described }, hint));
}

/** A list of all annotators to choose from; `chosen` are marked. */
function peopleRow(label, hint, chosenNames) {
  const boxes = people.map((one) => el("label", { class: "check" },
    el("input", { type: "checkbox", name: "person", value: one, checked: chosenNames.includes(one) }), el("span", {}, one)));
  return el("fieldset", { "aria-describedby": "ask-people-hint" }, el("legend", {}, label),
    el("div", { class: "choices" }, boxes.length ? boxes : el("p", { class: "soft" }, "Nobody is known yet.")),
    el("p", { class: "soft", id: "ask-people-hint" }, hint));
}

/** The names marked in the dialog; null: none, which means all annotators. */
function chosenPeople() {
  const found = [...byId("ask-fields").querySelectorAll("input[name=person]:checked")].map((box) => box.value);
  return found.length ? found : null;
}

/** Say what a choice of people means for batches with so many seats. */
const peopleHint = (seats) => `Mark at least ${seats ?? "as many as a question has seats"}; nobody marked: all annotators. Somebody is missing here? Who is new appears after the practice round.`;

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
      cell(one.assigned ? one.assigned.join(", ") : "all annotators"))))
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
      : [cell(one.created_by),
        el("td", {}, el("div", { class: "share" },
          el("progress", { max: Math.max(1, one.items), value: one.finished, "aria-label": `${one.name}: finished` }),
          el("span", {}, `${count(one.finished)} of ${count(one.items)}`))),
        number(`${count(one.said)} of ${count(one.wanted)}`), number(count(one.seats))]))));
}

async function choose(id) {
  chosen = id;
  shown = 0;
  byId("disagreements").replaceChildren();
  await refresh();
  await moreDisagreements();
  byId("detail-title").scrollIntoView({ block: "nearest" });
}

async function refresh() {
  await loadBatches();
  const one = batches.find((batch) => batch.id === chosen);
  byId("detail").hidden = !one || one.state === "broken";
  if (one && one.state !== "broken") await showDetail(one);
  await Promise.all([loadPeople(), loadGold(), loadReviews()]);
}

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

async function showDetail(one) {
  const path = `api/lead/batches/${encodeURIComponent(one.id)}`;
  const [told, waiting] = await Promise.all([call(`${path}/agreement`), call(`${path}/waiting`)]);
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

// --- disagreements ---

async function moreDisagreements() {
  await labels.load(chosen);
  const told = await call(`api/lead/batches/${encodeURIComponent(chosen)}/disagreements?offset=${shown}&limit=${PAGE}`);
  shown += told.items.length;
  byId("disagreements").append(...told.items.map(disagreement));
  byId("disagreements-count").textContent = told.total ? `${count(shown)} of ${count(told.total)}` : "none";
  byId("more").hidden = shown >= told.total || !told.items.length;
}

/** Remove trailing zeros of a number: 2.50 becomes 2.5. */
function plain(text) {
  if (text === null || text === undefined || !text.includes(".")) return text;
  return text.replace(/0+$/, "").replace(/\.$/, "");
}

function disagreement(one) {
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
      labels.element(one)));
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

// --- people and known answers ---

async function loadPeople() {
  const told = await call("api/lead/annotators");
  people = told.annotators.filter((one) => !one.voided).map((one) => one.annotator);
  byId("everybody").replaceChildren(told.annotators.length ? table("All annotators",
    [["Annotator"], ["Answers", "number"], ["State"], [""]],
    told.annotators.map((who) => el("tr", {}, el("th", { scope: "row" }, who.annotator), number(count(who.answers)),
      cell(who.voided ? `void: ${who.voided_reason} (by ${who.voided_by})` : "counted"),
      el("td", { class: "number" }, who.voided
        ? el("button", {
          type: "button", class: "small-button", "aria-label": `Count ${who.annotator} again …`, on: { click: () => unvoidAnnotator(who.annotator) },
        }, "Count again …")
        : el("button", {
          type: "button", class: "danger small-button", "aria-label": `Void ${who.annotator} …`, on: { click: () => trying(() => voidAnnotator(who.annotator)) },
        }, "Void …")))))
    : el("p", { class: "empty" }, "None yet."));
}

async function loadGold() {
  const told = await call("api/lead/gold");
  const sources = Object.entries(told.sources).map(([source, many]) => `${source} ${count(many)}`).join(", ");
  byId("gold").textContent = told.items ? `${count(told.items)} known answers: ${sources}.` : "None yet: accuracy is not measured.";
}

/** Say in words what voiding somebody changes. */
function effectWords(told) {
  const touched = told.batches.filter((one) => one.state !== "open").map((one) => `${one.id} (${one.state})`);
  const released = told.releases === null ? "The registry could not be read: releases may contain these answers."
    : told.releases.length ? `Released answers: ${told.releases.join(", ")}; make a new release afterwards.` : "";
  return [
    `${count(told.answers)} answers count no more, ${count(told.kept)} kept questions are not kept without them, and ${count(told.seats)} seats are open again.`,
    touched.length ? `Collected again: ${touched.join(", ")}.` : "", released,
    "The person gets no more questions.",
  ].filter(Boolean).join(" ");
}

async function voidAnnotator(name) {
  const effect = await call(`api/lead/void?annotator=${encodeURIComponent(name)}`);
  ask(`Void ${name}`, "Void", [{ name: "reason", label: "Why?", hint: effectWords(effect) }],
  async ({ reason }) => {
    if (!reason) throw new Error("Enter a reason, so that others understand it later.");
    const told = await call("api/lead/void", { annotator: name, reason });
    say(`${name} is void; ${count(told.seats)} seats are open again.`, "good");
    await refresh();
  });
}

async function unvoidAnnotator(name) {
  const yes = await confirmIn(`Count the answers of ${name} again?`, "Batches that lack these answers are collected again. Seats that others have taken meanwhile stay theirs.", "Count again");
  if (!yes) return;
  await trying(async () => {
    await call("api/lead/unvoid", { annotator: name });
    say(`The answers of ${name} count again.`, "good");
    await refresh();
  });
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
    { name: "assigned", label: "For", people: [], hint: peopleHint(batches.find((one) => one.seats)?.seats) },
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
  ask(`Who works on ${titled(one)}?`, "Assign", [{ name: "annotators", label: "Annotators", people: one.assigned ?? [], hint: peopleHint(one.seats) }],
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

function addGold(source, heading, hint) {
  ask(heading, "Add", [{ name: "limit", label: "How many at most?", kind: "number", value: "20", hint }], async ({ limit }) => {
    const told = await call("api/lead/gold", { source, limit: Number(limit) });
    say(`${count(told.added)} known answers added.`, "good");
    await refresh();
  });
}

async function start() {
  const me = await call("api/me");
  navigation(me, "lead");
  labels = new Labels(ask, () => choose(chosen));
  const clicks = {
    refresh: () => trying(refresh), new: newBatch, assign, edit, reopen, close: () => closeBatch(chosen), more: () => trying(moreDisagreements),
    "ask-cancel": () => byId("ask-box").close(),
    "gold-unanimous": () => addGold("unanimous", "Add unanimous questions", "Questions of final batches with unanimous answers."),
    "gold-drawn": () => addGold("drawn", "Add drawn pictures", "Pictures drawn by the project, whose answers are known exactly."),
  };
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", act);
  byId("tag").addEventListener("change", () => trying(loadBatches));
  setInterval(() => { if (!document.hidden && !document.querySelector("dialog[open]")) trying(refresh); }, FRESH);
  chosen = new URLSearchParams(window.location.search).get("batch"); // a link of the dataset browser
  await refresh();
  if (chosen) await moreDisagreements();
}

trying(start);

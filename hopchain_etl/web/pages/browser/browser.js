// The dataset browser: the queries and rejects of a build, and the target of each hop.

import { batchName, byId, call, count, el, hopWords, trying } from "../shared/common.js";
import { navigation } from "../shared/navigation.js";

const COUNT = 24; // items at a time
const WIDTH = 1000; // px of an opened photo
const SMALL = 420; // px of a photo in the gallery

let me;
let build = null;
const view = { kind: "queries", stage: "generate", text: "", rel: "", read: "", hops: "", state: "", reason: "", outcome: "" };
let from = "0.0";
let visited = false; // whether the address of this page has been written once
let asked = 0; // number of the latest search; results of earlier ones are ignored

const FILTERS = {
  queries: ["text", "rel", "read", "hops", "state"],
  rejects: ["stage", "text", "reason", "outcome"],
};
const REVIEW = ["unconfirmed", "has_shortcut", "repaired"]; // columns that old rows do not have
const LABELS = { text: "Search", rel: "Relation", read: "Reading", hops: "Hops", state: "People and releases", stage: "Stage", reason: "Reason", outcome: "Outcome" };

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== null)).toString();
const place = () => `api/browse/builds/${encodeURIComponent(build.id)}`;
const photoOf = (one, width) => `api/browse/photo?${query({ shard: one.shard, image: one.image_id, width })}`;
const maskOf = (one, hop) => `${place()}/mask?${query({ shard: one.shard, image: one.image_id, of: hop.target.join(","), colour: hop.colour, width: WIDTH })}`;

// --- the build ---

function fillBuilds(told) {
  const when = (text) => (text ?? "").slice(0, 16).replace("T", " ");
  const runs = told.builds.map((one) => el("option", { value: one.id }, `${when(one.run_after)} · ${count(one.counts?.rows)} queries · ${one.run_id}`));
  const whole = told.lineages.map((one) => el("option", { value: one.id }, `all of ${one.fingerprint} · ${one.model ?? "unknown author"}`));
  byId("build").replaceChildren(
    runs.length ? el("optgroup", { label: `Runs of hopchain_build${told.count > runs.length ? ` (the last ${runs.length} of ${count(told.count)})` : ""}` }, runs) : "",
    whole.length ? el("optgroup", { label: "Everything under a fingerprint" }, whole) : "");
  return [...told.builds, ...told.lineages];
}

async function openBuild(id, back = false) {
  build = await call(`api/browse/builds/${encodeURIComponent(id)}`);
  const select = byId("build");
  if (![...select.options].some((option) => option.value === build.id)) select.prepend(el("option", { value: build.id }, build.id));
  select.value = build.id;
  const marks = build.funnel.filter((one) => one.fingerprint).map((one) => `${one.stage} ${one.fingerprint}`).join(", ");
  byId("about").textContent = `${build.document.run_id ? `Run ${build.document.run_id}; ` : ""}${count(build.shards)} shards; ${marks}`;
  byId("funnel").replaceChildren(funnel(build.funnel));
  byId("gallery").hidden = false;
  await search(back);
}

function funnel(levels) {
  const widest = Math.max(1, ...levels.map((one) => one.read));
  const reasons = (level) => Object.entries(level.reasons).map(([reason, many]) => el("button", {
    type: "button", class: "link", on: { click: () => showRejects(level.stage, reason) },
  }, `${reason} ${count(many)}`));
  return el("table", {}, el("caption", { class: "unseen" }, "Row counts per stage"),
    el("thead", {}, el("tr", {}, ["Stage", "Inputs", "", "Ok", "Rejected", "Failed", "Quarantined", "Rows out", "Reasons"].map((head, index) =>
      el("th", { scope: "col", class: [1, 3, 4, 5, 6, 7].includes(index) && "number" }, head)))),
    el("tbody", {}, levels.map((one) => el("tr", {}, el("th", { scope: "row" }, one.stage), figure(one.read),
      el("td", {}, el("div", { class: "track", style: { width: `${(100 * one.read) / widest}%` } },
        el("div", { class: "yes", style: { flex: String(one.ok) } }), el("div", { class: "no", style: { flex: String(one.rejected + one.failed + one.quarantined) } }))),
      figure(one.ok), figure(one.rejected), figure(one.failed), figure(one.quarantined),
      figure(one.rows), el("td", { class: "reasons" }, reasons(one))))));
}

const figure = (value) => el("td", { class: "number" }, count(value));

// --- the gallery ---

function choices(name) {
  const level = build.funnel.find((one) => one.stage === view.stage);
  return {
    rel: build.rels, read: build.reads, hops: ["4", "5", "6"], state: build.states, outcome: ["rejected", "failed", "quarantined"],
    stage: build.funnel.map((one) => one.stage), reason: Object.keys(level?.reasons ?? {}),
  }[name];
}

function fillFilter() {
  byId("filter").replaceChildren(...FILTERS[view.kind].map((name) => {
    const id = `by-${name}`;
    const input = name === "text"
      ? el("input", { id, type: "search", maxlength: 200, value: view.text, placeholder: "question, category, reading, id" })
      : el("select", { id }, name !== "stage" && el("option", { value: "" }, "any"), choices(name).map((one) => el("option", { value: one }, one.replaceAll("_", " "))));
    input.value = view[name];
    return el("div", {}, el("label", { for: id }, LABELS[name]), input);
  }));
}

function show(kind) {
  view.kind = kind;
  return search();
}

function showRejects(stage, reason) {
  Object.assign(view, { stage, reason, outcome: "", text: "" });
  show("rejects").then(() => byId("gallery-title").scrollIntoView());
}

/** Start a new search with the current filter; `back`: it is that of an address which the person went back to. */
async function search(back = false) {
  fillFilter();
  for (const kind of ["queries", "rejects"]) byId(`show-${kind}`).setAttribute("aria-pressed", String(kind === view.kind));
  byId("gallery-title").textContent = view.kind === "queries" ? "Queries" : "Rejects";
  byId("items").replaceChildren();
  from = "0.0";
  if (!back) keepAddress();
  await more();
}

async function more() {
  const mine = ++asked;
  byId("found").textContent = "Searching …";
  byId("more").hidden = true;
  const wanted = Object.fromEntries(FILTERS[view.kind].map((name) => [name, view[name]]));
  const items = byId("items");
  let added = 0;
  while (from !== null && added < COUNT) { // each request reads a limited number of shards: repeat until the page is full
    const told = await call(`${place()}/${view.kind}?${query({ ...wanted, from, count: COUNT - added })}`);
    if (mine !== asked) return;
    items.append(...told.items.map((one) => el("li", {}, card(one))));
    added += told.items.length;
    from = told.next;
  }
  byId("more").hidden = from === null;
  byId("found").textContent = items.children.length
    ? `${count(items.children.length)} ${view.kind}${from === null ? "" : ", there are more"}`
    : `No ${view.kind} found.`;
}

function card(one) {
  const rejected = view.kind === "rejects";
  const seen = rejected ? one.photo : true;
  const said = rejected ? one.draft.question ?? one.detail : one.question;
  return el("button", { type: "button", class: "item", on: { click: () => open(one, rejected) } },
    el("span", { class: "shot" }, seen
      ? el("img", { src: photoOf(one, SMALL), alt: "", loading: "lazy" })
      : el("span", {}, "no photo in the lake")),
    el("span", { class: "text" },
      rejected && el("span", {}, el("span", { class: "badge", data: { kind: one.outcome === "rejected" ? "bad" : "warn" } }, one.reason)),
      el("span", { class: "question" }, said ?? ""),
      el("span", { class: "small" }, rejected
        ? (one.uri ?? one.image_id ?? "").split("/").at(-1).slice(0, 40)
        : `${one.hops.length} hops · ${one.expr} = ${one.answer}`)));
}

// --- one query or reject ---

function open(one, rejected) {
  const asking = rejected ? one.draft : one;
  byId("one-title").textContent = rejected ? `${one.outcome}: ${one.reason}` : "Query";
  byId("one-body").replaceChildren(
    rejected && !one.photo ? el("p", { class: "empty" }, "This photo is not in the lake (rejected by ingest).") : layers(one),
    el("div", {},
      rejected && el("p", {}, one.detail ?? ""),
      asking.question && el("p", {}, asking.question),
      one.hops.length > 0 && hopList(one.hops),
      asking.expr && el("p", {}, el("code", {}, asking.expr), " = ", el("b", {}, asking.answer ?? "?")),
      !rejected && el("div", { id: "decided" }),
      facts(one, rejected),
      rejected && one.payload !== null && el("details", {}, el("summary", {}, "Payload"),
        el("pre", { tabindex: 0 }, JSON.stringify(one.payload, null, 1)))));
  byId("one").showModal();
  if (!rejected) trying(() => showDecided(one));
}

// --- what people and releases decided ---

const BADGES = { agreed: "good", released: "good", disagreed: "bad", rejected: "bad", open: "warn", not_asked: "" };
const words = (code) => code.replaceAll("_", " ");

async function showDecided(one) {
  const box = byId("decided");
  const { decided } = one.decided ? one : await call(`${place()}/queries/${one.query_id}`);
  if (!box.isConnected) return; // another one is open meanwhile
  box.replaceChildren(
    el("h3", {}, "People and releases"),
    el("p", {}, decided.states.flatMap((state) => [el("span", { class: "badge", data: { kind: BADGES[state] } }, words(state)), " "])),
    ...decided.batches.map(batchOf), ...releasesOf(decided));
}

/** The answers in one batch: with names for leads, only counted for others. */
function batchOf(one) {
  return el("div", {},
    el("p", { class: "soft" }, me.lead ? el("a", { href: `lead?${query({ batch: one.batch })}` }, batchName(one.batch)) : batchName(one.batch),
      `: ${words(one.state)}${one.final === null ? "" : `, the answer is ${one.final}`}`),
    el("ul", { class: "answers", "aria-label": "Answers" }, one.answers.map((answer) => el("li", { data: { kind: answer.reject_reason ? "differs" : "" } },
      el("b", {}, answer.answer ?? "reject"),
      el("small", {}, answer.annotator ?? (answer.count === 1 ? "1 person" : `${count(answer.count)} people`)),
      answer.reject_reason && el("small", {}, words(answer.reject_reason), answer.comment ? `: ${answer.comment}` : ""),
      answer.unsure && el("small", {}, el("span", { class: "badge", data: { kind: "warn" } }, "not sure"))))));
}

function releasesOf({ releases, selection }) {
  const reasons = Object.entries(selection).map(([target, outcome]) =>
    el("li", {}, `${target}: ${outcome === "released" ? "taken, unless a limit on similar questions leaves it out" : `left out, ${words(outcome)}`}`));
  return [
    el("p", {}, releases === null ? "No registry to look up releases in." : releases.length ? `In ${releases.join(", ")}` : "In no release."),
    reasons.length > 0 && el("p", { class: "soft" }, "The last selection of a release:"),
    reasons.length > 0 && el("ul", {}, reasons),
  ].filter(Boolean);
}

function layers(one) {
  const masks = one.hops.filter((hop) => hop.target.length).map((hop) =>
    el("img", { class: "mask", src: maskOf(one, hop), alt: `Target of hop ${hop.number}`, data: { hop: hop.number }, on: { error: (event) => event.target.remove() } }));
  return el("div", { class: "layers", id: "layers" }, el("img", { src: photoOf(one, WIDTH), alt: "The photo" }), masks);
}

/** Return the hops as buttons: hovering shows the hop's target, clicking pins it. */
function hopList(hops) {
  let pinned = null;
  const light = (number) => {
    const frame = byId("layers");
    if (!frame) return;
    if (number === null) delete frame.dataset.only;
    else frame.dataset.only = number;
    for (const mask of frame.querySelectorAll(".mask")) mask.classList.toggle("lit", Number(mask.dataset.hop) === number);
  };
  const buttons = hops.map((hop) => el("button", {
    type: "button", class: "look", "aria-pressed": "false", data: { number: hop.number },
    on: {
      mouseenter: () => light(hop.number), focus: () => light(hop.number),
      mouseleave: () => light(pinned), blur: () => light(pinned),
      click: () => {
        pinned = pinned === hop.number ? null : hop.number;
        for (const button of buttons) button.setAttribute("aria-pressed", String(Number(button.dataset.number) === pinned));
        light(pinned);
      },
    },
  }, el("span", { class: "hop", style: { borderColor: hop.css } }, String(hop.number)),
  hopWords(hop)));
  return el("ol", { class: "hops", "aria-label": "Hops: select one to see its target" }, buttons.map((button) => el("li", {}, button)));
}

function facts(one, rejected) {
  const names = rejected
    ? ["stage", "scope", "image_id", "uri", "etag", "shard"]
    : ["query_id", "image_id", "seen_by", "author", "unchecked", ...REVIEW, "question_half", "answer_half", "question_single", "answer_single", "shard"];
  const told = (name) => one[name] ?? (!rejected && REVIEW.includes(name) ? "not recorded" : "");
  const known = names.filter((name) => told(name) !== "");
  return el("dl", { class: "facts" }, known.flatMap((name) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, String(told(name)))]));
}

// --- the page ---

function keepAddress() {
  const kept = { build: build.id, ...(view.kind === "rejects" && { show: "rejects" }) };
  for (const name of FILTERS[view.kind]) if (view[name]) kept[name] = view[name];
  const address = `?${query(kept)}`;
  if (!visited) window.history.replaceState(null, "", address);
  else if (address !== window.location.search) window.history.pushState(null, "", address);
  visited = true;
}

/** Take over build and filter from the address. */
function readAddress() {
  const address = new URLSearchParams(window.location.search);
  for (const name of Object.keys(LABELS)) view[name] = address.get(name) ?? "";
  view.kind = address.get("show") === "rejects" ? "rejects" : "queries";
  view.stage ||= "generate";
  return address;
}

/** Back and forward undo and redo a filter. */
async function onBack() {
  const wanted = readAddress().get("build");
  if (wanted && wanted !== build.id) await openBuild(wanted, true);
  else await search(true);
}

function onFilter(event) {
  event.preventDefault();
  for (const name of FILTERS[view.kind]) {
    const value = byId(`by-${name}`).value;
    if (name === "stage" && value !== view.stage) byId("by-reason").value = "";
    view[name] = value;
  }
  trying(search);
}

async function start() {
  const address = readAddress();
  window.addEventListener("popstate", () => trying(onBack));
  me = await call("api/me");
  navigation(me, "browser");
  byId("filter").addEventListener("change", onFilter);
  byId("filter").addEventListener("submit", onFilter);
  byId("build").addEventListener("change", (event) => trying(() => openBuild(event.target.value)));
  byId("show-queries").addEventListener("click", () => trying(() => show("queries")));
  byId("show-rejects").addEventListener("click", () => trying(() => show("rejects")));
  byId("more").addEventListener("click", () => trying(more));
  byId("one-close").addEventListener("click", () => byId("one").close());
  const known = fillBuilds(await call("api/browse/builds"));
  const wanted = address.get("build") ?? address.get("run") ?? known[0]?.id;
  const single = address.get("query"); // a link of the lead's page
  if (wanted) await openBuild(wanted);
  if (wanted && single) open(await call(`${place()}/queries/${encodeURIComponent(single)}`), false);
  if (!wanted) byId("about").textContent = "No builds yet. Run hopchain_build, then reload this page.";
}

trying(start);

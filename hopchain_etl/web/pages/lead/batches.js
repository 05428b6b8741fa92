// Fields of the lead's dialogs: what is set about a batch, and which questions a new one asks.

import { batchName, byId, call, count, day, el, trying } from "../shared/common.js";

const DAY = 86_400_000; // ms
const PAUSE = 400; // ms after a key before what matches is counted
const PRIORITIES = [
  ["normal", "normal"], ["first", "first: before all other batches"], ["last", "last: when nothing else is left"],
];

/** A batch in a table: its title with its name below, tags and priority. */
export const batchLabel = (one) => [one.title || batchName(one.id), one.title ? el("small", { class: "soft" }, batchName(one.id)) : ""];

export const batchMarks = (one) => [
  ...(one.priority === "normal" ? [] : [`asked ${one.priority}`]), ...one.tags,
].map((text) => el("span", { class: "badge" }, text));

/** When a batch is due; for an open one also how long that is from now. */
export function dueWords(one) {
  if (!one.due) return [""];
  const days = Math.floor((Date.parse(`${one.due}T00:00:00Z`) - Math.floor(Date.now() / DAY) * DAY) / DAY);
  const many = `${count(Math.abs(days))} ${Math.abs(days) === 1 ? "day" : "days"}`;
  if (one.state !== "open") return [day(one.due)];
  const when = one.overdue ? el("span", { class: "badge", data: { kind: "bad" } }, `overdue ${many}`) : days ? `in ${many}` : "today";
  return [day(one.due), el("br"), when];
}

/** The fields of what can be changed at any time; `one` has their values. */
export const detailsFields = (one = {}) => [
  { name: "title", label: "Title", value: one.title, hint: "What people see; the name stays beside it." },
  { name: "priority", label: "Asked", choices: PRIORITIES, value: one.priority },
  { name: "due", label: "Due", kind: "date", value: one.due ?? "", hint: "The last day (UTC); empty: none." },
  { name: "tags", label: "Tags", value: (one.tags ?? []).join(", "), hint: "With commas between them, such as: de, night." },
  {
    name: "cap", label: "One person answers at most", kind: "number", value: one.cap ? String(Number((100 * one.cap).toFixed(2))) : "",
    hint: "Percent of the questions; empty: all. Whoever has this share is only asked what too few others are left for.",
  },
];

export const detailsOf = ({ title, priority, due, tags, cap }) => ({
  title, priority, due: due || null, tags: tags.split(",").map((tag) => tag.trim()).filter(Boolean), cap: cap ? Number(cap) / 100 : null,
});

const SELECTS = [
  ["template", "Program", "templates"], ["rel", "Some hop finds by", "rels"], ["read", "Some hop reads", "reads"],
  ["hops", "Number of hops", "hops"], ["band", "Difficulty for the weaker model", "bands"],
];
const BANDS = { all_wrong: "never right", hard: "hard", medium: "medium", easy: "easy", all_right: "always right", none: "not tried" };

/** A field that chooses among the questions that nobody was asked yet, and says how many match. */
export function choiceField() {
  const matches = el("p", { class: "soft", role: "status", "aria-live": "polite" });
  const row = el("fieldset", { id: "choice" }, el("legend", {}, "Only questions"),
    el("div", { class: "row" }, el("label", { for: "choice-photos" }, "On these photos"),
      el("textarea", { id: "choice-photos", rows: 2, "aria-describedby": "choice-photos-hint", spellcheck: "false" }),
      el("p", { class: "soft", id: "choice-photos-hint" }, "Their image_id, or how it begins (the Dataset page shows it); empty: all.")),
    el("div", { class: "pairs" }, SELECTS.map(([name, label]) => el("div", { class: "row" },
      el("label", { for: `choice-${name}` }, label), el("select", { id: `choice-${name}` }, el("option", { value: "" }, "any"))))),
    matches);
  const value = (name) => byId(`choice-${name}`).value;
  const read = () => ({
    photos: byId("choice-photos").value.split(/[\s,]+/).filter(Boolean).map((one) => one.toLowerCase()),
    ...Object.fromEntries(SELECTS.map(([name]) => [name, name === "hops" && value(name) ? Number(value(name)) : value(name) || null])),
  });
  let asked = 0;
  const look = async () => {
    const mine = ++asked;
    const told = await call("api/lead/unasked", { lineage: byId("ask-lineage").value.trim() || null, choice: read() }).catch((error) => error);
    if (mine !== asked) return null;
    matches.textContent = told instanceof Error ? told.message
      : `${count(told.matching)} of ${count(told.unasked)} questions match, on ${count(told.photos)} photos.`;
    return told instanceof Error ? null : told;
  };
  const fill = async () => {
    const told = await look();
    for (const [name, , kinds] of told ? SELECTS : []) {
      const options = told[kinds].map((one) => one.value === undefined ? [one, one.replaceAll("_", " ")]
        : [one.value, `${BANDS[one.value] ?? one.value} (${count(one.questions)})`]);
      byId(`choice-${name}`).replaceChildren(el("option", { value: "" }, "any"), ...options.map(([code, text]) => el("option", { value: code }, text)));
    }
  };
  const start = () => {
    let waiting;
    const soon = () => { clearTimeout(waiting); waiting = setTimeout(() => trying(look), PAUSE); };
    row.addEventListener("input", soon);
    byId("ask-lineage").addEventListener("change", () => trying(fill));
    byId("ask-source").addEventListener("change", () => { row.hidden = byId("ask-source").value !== "unasked"; });
    trying(fill);
  };
  return { name: "choice", row, read, start };
}

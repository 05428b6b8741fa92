// A lead edits the guidelines: Markdown beside its preview. What is typed is kept on this device until it is published.

import { byId, call, confirmIn, day, el, say, single, trying } from "../shared/common.js";
import { navigation } from "../shared/navigation.js";
import { forget, keep, kept } from "../shared/storage.js";
import { differenceItems, nodesOf } from "./text.js";

const KEPT = "hopchain-guidelines-draft";
const PAUSE = 800; // ms without typing before the preview follows

let base; // the version that the edit began from, or was compared with after a conflict
let timer;

const text = () => byId("markdown").value;
const keepDraft = () => keep("localStorage", KEPT, JSON.stringify({ markdown: text(), note: byId("note").value, number: base.number }));

function showBase() {
  byId("base").textContent = `You are changing version ${base.number}${base.at ? ` of ${day(base.at)}` : ""}: ${base.note}`;
}

async function preview() {
  clearTimeout(timer);
  const told = await call("api/guidelines/preview", { markdown: text(), since: base.number });
  byId("text").replaceChildren(...nodesOf(told.html));
  byId("differences").replaceChildren(...(told.differences.length ? differenceItems(told.differences) : [el("li", {}, "Nothing yet.")]));
}

/** Show a version in the editor; the newest by default. */
async function load(number) {
  base = await call(`api/guidelines/source${number === undefined ? "" : `?version=${number}`}`);
  byId("markdown").value = base.markdown;
  byId("pictures").replaceChildren(...base.pictures.flatMap((one) => [el("code", {}, one), " "]));
  showBase();
}

/** Somebody else was faster: compare with their version from now on; the text in the editor stays. */
async function compareWithNewest(problem) {
  base = await call("api/guidelines/source");
  showBase();
  keepDraft();
  await preview();
  byId("problem").textContent = problem;
}

async function publish() {
  byId("problem").textContent = "";
  try {
    const made = await call("api/guidelines/publish", { markdown: text(), note: byId("note").value, based_on: base.number });
    forget("localStorage", KEPT);
    byId("note").value = "";
    await load();
    await preview();
    say(`Version ${made.number} is published. Annotators are told: ${made.note}`, "good");
  } catch (error) {
    if (error.status === 409) await compareWithNewest(error.message);
    else byId("problem").textContent = error.message;
  }
}

async function discard() {
  if (!(await confirmIn("Discard your changes?", "The newest published version is shown again.", "Discard"))) return;
  forget("localStorage", KEPT);
  byId("note").value = byId("problem").textContent = "";
  await load();
  await preview();
}

/** Bring back what was typed and not published, if there is any. */
async function restore() {
  const draft = JSON.parse(kept("localStorage", KEPT) ?? "null");
  if (!draft) {
    await load();
    return;
  }
  await load(draft.number).catch(() => load());
  byId("markdown").value = draft.markdown;
  byId("note").value = draft.note;
  say("Your changes that are not published yet are back.");
}

async function start() {
  navigation(await call("api/me"), "guidelines");
  await restore();
  for (const id of ["markdown", "note"]) byId(id).addEventListener("input", keepDraft);
  byId("markdown").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => trying(preview), PAUSE); });
  const submit = single(() => trying(publish));
  byId("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  byId("preview").addEventListener("click", () => trying(preview));
  byId("discard").addEventListener("click", () => trying(discard));
  await preview();
}

trying(start);

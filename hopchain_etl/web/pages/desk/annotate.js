// The desk: one photo, one question, one number, then the next.

import { byId, call, el, say } from "../shared/common.js";
import { write } from "../shared/comment-box.js";
import { plural, t } from "../shared/i18n.js";
import { guidelinesChanged, navigation, unread } from "../shared/navigation.js";
import { answerId } from "./answer-id.js";
import { Drafts } from "./drafts.js";
import { listenToKeys } from "./keys.js";
import {
  attend, countActive, draftOf, field, later, mention, notice, picture, problem, setAnswer, show, showProgress, skipsBack, spent, written,
} from "./page.js";
import { Practice } from "./practice.js";
import { pausedWords } from "./qualification.js";
import { RejectBox } from "./reject.js";
import { afterwards, busy, insist, once } from "./sending.js";

const NUMBER = /^-?\d{1,12}(\.\d{1,12})?$/; // the server's rule
const RENEW = 60_000; // ms before a lease ends

let me;
let drafts;
let task = null;
let skipped = 0; // questions that could be brought back
const practice = new Practice(next, () => { task = null; });

// --- the next question ---

async function next() {
  const told = await insist(() => call("api/next"));
  progressed(told.progress);
  guidelinesChanged(told.guidelines);
  unread(told.unread);
  if (told.why === "practise") practice.need(told.qualification);
  else await take(told.task, told.why, told.pause);
  if (told.prefetch) new Image().src = told.prefetch;
}

function progressed(progress) {
  showProgress(progress);
  skipped = progress?.skipped ?? skipped;
}

async function take(given, why, pause) {
  task = given;
  showUndo();
  if (!task) {
    noTask(why, pause);
    return;
  }
  setTimeout(renew, Math.max(RENEW, new Date(task.lease_until) - Date.now() - RENEW), task.query_id);
  // Do not wait: the question can be read while the photo loads.
  show(task.question, task.image, task.width, task.height, drafts.of(task.query_id));
}

/** Say why there is no question. */
function noTask(why, pause) {
  const texts = {
    no_batch: [t("Nothing to annotate yet"), t("A lead has not opened a batch for you. This page checks again automatically.")],
    done: [t("All done"), skipped ? t("All that is left for you in the open batches are questions that you have skipped.")
      : t("There is nothing left for you in the open batches. Thank you!")],
    share: [t("You have done your share"), t("You have answered as many questions of this batch as one person should. Other people answer the rest. Thank you!")],
    waiting: [t("Please wait"), t("Other annotators are working on the last questions. This page checks again automatically.")],
  };
  const [title, text] = why === "paused" ? pausedWords(pause) : texts[why] ?? texts.waiting;
  const undo = drafts.last(me.undo_seconds)
    && el("button", { type: "button", on: { click: () => afterwards(undoLast) } }, t("Undo the last"), " ", el("kbd", {}, "U"));
  // The first button gets the focus: a harmless one, in case Enter is pressed twice.
  notice(title, text, el("p", { class: "actions" },
    el("button", { type: "button", on: { click: () => once(next) } }, t("Check again")), undo || "",
    skipped ? el("button", { type: "button", on: { click: bringBack } }, skipsBack(skipped)) : "",
    why === "paused" ? el("a", { class: "button", href: "guidelines" }, t("Read the guidelines")) : "",
    el("button", { type: "button", class: "link", on: { click: practise } }, t("Practice round"))));
  later(() => once(next));
}

/** Request the same task again while it is being viewed, which renews its lease; if that fails, try again later. */
async function renew(query) {
  if (task?.query_id !== query) return;
  const told = document.hidden || busy() ? null : await call("api/next").catch(() => null); // sending shows errors
  if (!told || told.task?.query_id === query) setTimeout(renew, RENEW, query);
}

const practise = () => once(() => practice.start());

// --- sending ---

/** Send the pending answer, retrying if needed, and show the result. */
async function deliver(entry, what) {
  drafts.pending = { entry, what };
  try {
    const told = await insist(() => call("api/answers", entry));
    drafts.pending = null;
    drafts.done({ query_id: entry.query_id, answer_id: entry.answer_id, what, answer: entry.answer ?? "", unsure: entry.unsure, at: Date.now() });
    progressed(told.progress);
    mention(t("Sent: {what}.", { what }), "good");
    return true;
  } catch (error) {
    drafts.pending = null;
    if (error.status === 422) {
      problem(error.message);
      return false;
    }
    if (error.status === 403) throw error;
    say(error.message, "bad"); // already answered, no longer open or removed: continue with the next question
    return true;
  }
}

/** What is sent about the question that is shown. */
const entryOf = (said) => ({ answer_id: answerId(), query_id: task.query_id, ...said, ...spent() });

function send() {
  const answer = written();
  if (!NUMBER.test(answer)) {
    problem(answer.includes(",") ? t("Write decimals with a point, such as 2.5, and no thousands separators.") :
      answer ? t("Write one number, such as 12, 2.5 or -3, without words or units.") : t("Write a number first."));
    field.focus();
    return undefined;
  }
  problem("");
  if (practice.running) return once(() => practice.check(answer));
  return once(async () => {
    const entry = entryOf({ answer, ...(byId("unsure").checked && { unsure: true }) });
    if (await deliver(entry, answer)) await next();
  });
}

function sendReject(reason, label, comment) {
  return once(async () => {
    const entry = entryOf({ reject_reason: reason, ...(comment && { comment }) });
    if (await deliver(entry, t("rejected, {reason}", { reason: label }))) await next();
  });
}

/** Return what `request` resolves to; if the photo was removed, say so, go on with the next question, return null. */
async function unlessRemoved(request) {
  try {
    return await insist(request);
  } catch (error) {
    if (error.status !== 410) throw error;
    say(error.message, "bad");
    await next();
    return null;
  }
}

function skip() {
  return once(async () => {
    const query = task.query_id;
    const { active_seconds } = spent();
    const told = await unlessRemoved(() => call("api/skips", { query_id: query, active_seconds }));
    if (!told) return;
    drafts.done({ query_id: query, what: t("skipped"), answer: written(), at: Date.now() });
    progressed(told.progress);
    mention(t("Skipped."));
    await next();
  });
}

function bringBack() {
  return once(async () => {
    const told = await insist(() => call("api/skips/return", {}));
    drafts.forgetSkips();
    mention(plural(told.returned, "{n} question is back.", "{n} questions are back."), "good");
    await next();
  });
}

function writeNote() {
  if (!onTask() || busy()) return;
  const { query_id } = task;
  write(t("Comment to the lead"), t("The lead sees it with this question; the answer comes under “My work”. To say that the question is at fault, reject it instead."), t("Send"),
    (text) => call("api/mine/comments", { query_id, text })).then((sent) => { if (sent) mention(t("The comment is sent."), "good"); attend(); });
}

// --- undo ---

function showUndo() {
  const step = practice.running ? null : drafts.last(me.undo_seconds);
  byId("undo").disabled = !step;
  byId("undo").title = step ? t("Undo: {what}", step) : t("Nothing to undo");
}

/** Another tab has changed what is kept here: it may have answered this question. */
function onOtherTab() {
  if (onTask() && drafts.isDone(task.query_id)) once(next);
  else showUndo();
}

async function undoLast() {
  const step = drafts.last(me.undo_seconds);
  if (step) await undo(step);
  else say(t("There is nothing to undo."));
}

/** Take an answer or a skip back and ask its question again. */
async function undo(step) {
  keepDraft();
  drafts.forget(step.query_id);
  const told = await unlessRemoved(() => call("api/undo", { query_id: step.query_id, ...(step.answer_id ? { answer_id: step.answer_id } : { skipped: true }) }));
  if (!told) return;
  drafts.keep(step.query_id, { answer: step.answer, seconds: 0, unsure: step.unsure });
  progressed(told.progress);
  mention(t("Undone: {what}.", step), "good");
  if (told.task) await take(told.task);
  else await next();
}

/** Do what the address asks for: the page "My work" comes here to change an answer. Returns whether it did. */
async function changed() {
  const wanted = new URLSearchParams(window.location.hash.slice(1));
  if (!wanted.get("change")) return false;
  window.history.replaceState(null, "", window.location.pathname); // a reload does not do it again
  const what = wanted.get("answer") ?? t("the question is asked again");
  try {
    await undo({ query_id: wanted.get("change"), answer_id: wanted.get("id"), what, answer: wanted.get("answer") ?? "", unsure: Boolean(wanted.get("unsure")) });
  } catch (error) {
    if (![404, 409].includes(error.status)) throw error;
    await next();
    say(error.message, "bad");
  }
  return true;
}

// --- keys and buttons ---

/** Whether a real question is shown. */
const onTask = () => task !== null && !practice.running;

function keepDraft() {
  if (task) drafts.keep(task.query_id, draftOf(field.value));
}

function listen() {
  const rejecting = new RejectBox(me.reasons, sendReject, attend);
  const reject = () => { if (onTask() && !busy()) rejecting.open(); };
  const help = () => byId("help-box").showModal();
  listenToKeys({
    s: () => onTask() && skip(),
    r: reject,
    u: () => afterwards(undoLast),
    z: () => picture.zoom(1),
    x: () => picture.zoom(-1),
    f: () => picture.fit(),
    g: () => { window.location.href = "guidelines"; },
    n: () => onTask() && byId("unsure").click(),
    c: writeNote,
    "?": help,
  }, () => drafts.letters, send);
  byId("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  field.addEventListener("input", () => { problem(""); keepDraft(); });
  byId("unsure").addEventListener("change", keepDraft);
  window.addEventListener("pagehide", keepDraft);
  const clicks = {
    skip, reject, undo: () => afterwards(undoLast), help, practise, unskip: bringBack, note: writeNote,
    "zoom-in": () => picture.zoom(1), "zoom-out": () => picture.zoom(-1), "zoom-fit": () => picture.fit(),
    "help-close": () => byId("help-box").close(), "login-again": () => byId("login-box").close(),
    sign: () => setAnswer(field.value.startsWith("-") ? field.value.slice(1) : `-${field.value}`),
  };
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", act);
  byId("letters").addEventListener("change", (event) => { drafts.letters = event.target.checked; });
}

async function start() {
  me = await insist(() => call("api/me"));
  navigation(me, "annotate");
  if (!me.annotator) {
    notice(t("You are not an annotator"), t("This page is for annotators. Leads use the lead page."));
    return;
  }
  drafts = new Drafts(me.name);
  countActive(me.idle_seconds);
  drafts.onchange = onOtherTab;
  byId("letters").checked = drafts.letters;
  listen();
  const kept = drafts.pending;
  if (kept) await deliver(kept.entry, kept.what);
  if (!me.practised) practice.offer(me.qualification);
  else if (!(await changed())) await next();
}

once(start);

// The desk: one photo, one question, one number, then the next.

import {
  byId, call, count, el, guidelinesChanged, loginAdvice, navigation, say, ServerError, titled, unbroken, unread, watchComment,
} from "./common.js";
import { ActiveClock } from "./active.js";
import { write } from "./comment-box.js";
import { Clock, Drafts } from "./drafts.js";
import { Picture } from "./picture.js";
import { beforeStart, notYet, pausedWords } from "./qualification.js";
import { Steps } from "./steps.js";

const NUMBER = /^-?\d{1,12}(\.\d{1,12})?$/; // the server's rule
const WAIT = 20_000; // ms between checks for new questions
const RENEW = 60_000; // ms before a lease ends

const TOUCH = window.matchMedia("(hover: none) and (pointer: coarse)");
const field = byId("answer");
const picture = new Picture(byId("stage"), byId("photo"), byId("level"));
const clock = new Clock();
let active; // an ActiveClock, once it is known after how long a person is idle
const steps = new Steps(byId("steps"), takeResult);
let me;
let drafts;
let task = null;
let practice = null; // {tasks, at, answered} during a practice round
let skipped = 0; // questions that could be brought back
let busy = false;
let current = Promise.resolve(); // the running step
let waiting; // timer
let round = null; // the practice round, requested while the person still reads
let reasonsShown = false;
let wrongComment; // returns what is wrong with the comment of a reject

// --- talking to the server ---

/** Return what `request` resolves to; retry while the server is unreachable or the login has expired. */
async function insist(request) {
  for (let tries = 0; ; tries += 1) {
    try {
      const told = await request();
      if (tries) say("");
      return told;
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (error.status === 401) await loggedIn();
      else if (error.passing) await tryAgain(error, Math.min(30, 2 ** tries));
      else throw error;
    }
  }
}

/** Resolve when the person confirms that they are logged in again. */
function loggedIn() {
  const box = byId("login-box");
  byId("login-advice").replaceChildren(...loginAdvice());
  return new Promise((resolve) => {
    box.addEventListener("close", resolve, { once: true });
    box.showModal();
  });
}

/** Resolve after `seconds`, or when the person clicks "Try now". */
function tryAgain(error, seconds) {
  say(`${error.message} Your answer is kept; retrying in ${seconds} s. `, "bad");
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    const now = el("button", { type: "button", on: { click: () => { clearTimeout(timer); resolve(); } } }, "Try now");
    byId("message").append(now);
  });
}

/** Run a step unless one is already running; show any error. */
function once(step) {
  if (!busy) current = run(step);
  return current;
}

/** Run a step after the running one has ended, so that pressing Undo is never lost. */
const afterwards = (step) => current.then(() => once(step));

async function run(step) {
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await step();
  } catch (error) {
    say(error.message, "bad");
    if (!(error instanceof ServerError)) throw error;
    if (["not_allowed", "voided"].includes(error.code)) notice("You cannot continue here", error.message);
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

// --- the page ---

function notice(title, text, ...more) {
  byId("desk").hidden = true;
  byId("notice").hidden = false;
  byId("notice").replaceChildren(el("h1", { id: "notice-title" }, title), el("p", {}, text), ...more);
  byId("notice").setAttribute("aria-labelledby", "notice-title");
  (byId("notice").querySelector("button, a") ?? byId("notice")).focus();
}

/** Let the person type. Nothing scrolls; on a touch device this would open the keyboard over photo and question. */
function attend() {
  (TOUCH.matches ? byId("question") : field).focus({ preventScroll: true });
}

/** Show a question with its photo; `draft` has the typed answer, and the seconds already spent in all and active. */
function show(question, source, width, height, draft) {
  clearTimeout(waiting);
  byId("notice").hidden = true;
  byId("desk").hidden = false;
  byId("question").textContent = unbroken(question);
  steps.show(question);
  byId("feedback").replaceChildren();
  problem("");
  field.value = draft.answer;
  byId("unsure").checked = Boolean(draft.unsure);
  byId("loading").hidden = false;
  byId("photo").hidden = true;
  clock.start(draft.seconds);
  active?.start(draft.active ?? 0);
  window.scrollTo(0, 0);
  byId("question").closest(".panel").scrollTop = 0;
  attend();
  if (!TOUCH.matches) field.select();
  return picture.show(source, width, height).then(
    () => { byId("loading").hidden = true; byId("photo").hidden = false; picture.fit(); },
    () => { byId("loading").textContent = "The photo cannot be shown. Reload the page, or reject the question with “The picture is broken”."; },
  );
}

/** Show a short message that disappears by itself. */
function mention(text, kind = "") {
  say(text, kind);
  setTimeout(() => { if (byId("message").textContent === text) say(""); }, 6_000);
}

function problem(text) {
  byId("problem").textContent = text;
  field.setAttribute("aria-invalid", text ? "true" : "false");
}

function showProgress(progress) {
  if (!progress) return;
  byId("progress").hidden = false;
  byId("mine").textContent = `Answered by you: ${count(progress.mine)}`;
  const there = Boolean(progress.batch);
  byId("unskip").hidden = !progress.skipped;
  byId("unskip").textContent = skipsBack(progress.skipped);
  skipped = progress.skipped;
  byId("batch").hidden = byId("batch-text").hidden = !there;
  if (!there) return;
  const left = `${count(progress.batch_left_for_me)} left for you`;
  byId("batch-text").textContent =
    `${titled({ id: progress.batch, title: progress.batch_title })}: ${count(progress.batch_decided)} of ${count(progress.batch_queries)} decided, ${left}`;
  byId("batch").max = Math.max(1, progress.batch_queries);
  byId("batch").value = progress.batch_decided;
}

const skipsBack = (many) => `Bring back my skips (${count(many)})`;

function showUndo() {
  const step = practice ? null : drafts.last(me.undo_seconds);
  byId("undo").disabled = !step;
  byId("undo").title = step ? `Undo: ${step.what}` : "Nothing to undo";
}

// --- annotating ---

async function next() {
  const told = await insist(() => call("api/next"));
  showProgress(told.progress);
  guidelinesChanged(told.guidelines);
  unread(told.unread);
  if (told.why === "practise") askPractice(told.qualification);
  else await take(told.task, told.why, told.pause);
  if (told.prefetch) new Image().src = told.prefetch;
}

async function take(given, why, pause) {
  task = given;
  showUndo();
  if (task) {
    setTimeout(renew, Math.max(RENEW, new Date(task.lease_until) - Date.now() - RENEW), task.query_id);
    // Do not wait: the question can be read while the photo loads.
    show(task.question, task.image, task.width, task.height, drafts.of(task.query_id));
    return;
  }
  const texts = {
    no_batch: ["Nothing to annotate yet", "A lead has not opened a batch for you. This page checks again automatically."],
    done: ["All done", skipped ? "All that is left for you in the open batches are questions that you have skipped."
      : "There is nothing left for you in the open batches. Thank you!"],
    share: ["You have done your share", "You have answered as many questions of this batch as one person should. Other people answer the rest. Thank you!"],
    waiting: ["Please wait", "Other annotators are working on the last questions. This page checks again automatically."],
  };
  const [title, text] = why === "paused" ? pausedWords(pause) : texts[why] ?? texts.waiting;
  const undo = drafts.last(me.undo_seconds)
    && el("button", { type: "button", on: { click: () => afterwards(undoLast) } }, "Undo the last ", el("kbd", {}, "U"));
  // The first button gets the focus: a harmless one, in case Enter is pressed twice.
  notice(title, text, el("p", { class: "actions" },
    el("button", { type: "button", on: { click: () => once(next) } }, "Check again"), undo || "",
    skipped ? el("button", { type: "button", on: { click: bringBack } }, skipsBack(skipped)) : "",
    why === "paused" ? el("a", { class: "button", href: "guidelines" }, "Read the guidelines") : "",
    el("button", { type: "button", class: "link", on: { click: () => once(startPractice) } }, "Practice round")));
  clearTimeout(waiting);
  waiting = setTimeout(() => once(next), WAIT);
}

/** Request the same task again while it is being viewed, which renews its lease. */
async function renew(query) {
  if (task?.query_id !== query || document.hidden || busy) return;
  const told = await call("api/next").catch(() => null); // errors are shown when the answer is sent
  if (told?.task?.query_id === query) setTimeout(renew, RENEW, query);
}

/** Send the pending answer, retrying if needed, and show the result. */
async function deliver(entry, what) {
  drafts.pending = { entry, what };
  try {
    const told = await insist(() => call("api/answers", entry));
    drafts.pending = null;
    drafts.done({ query_id: entry.query_id, answer_id: entry.answer_id, what, answer: entry.answer ?? "", unsure: entry.unsure, at: Date.now() });
    showProgress(told.progress);
    mention(`Sent: ${what}.`, "good");
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

/** Write the calculator's result into the answer field; Enter then sends it. */
function takeResult(value) {
  field.value = value;
  field.dispatchEvent(new Event("input"));
  field.focus();
}

/** The time spent on the question, as it is sent; a server of an earlier version takes no active time. */
const spent = () => ({ seconds: clock.seconds, ...(active && { active_seconds: Math.min(active.seconds, clock.seconds) }) });

const draftOf = (answer) => ({ answer, seconds: clock.seconds, active: active?.seconds, unsure: byId("unsure").checked });

function written() {
  return field.value.trim().replace("−", "-").replace(/^\+/, "");
}

function send() {
  const answer = written();
  if (!NUMBER.test(answer)) {
    problem(answer.includes(",") ? "Write decimals with a point, such as 2.5, and no thousands separators." :
      answer ? "Write one number, such as 12, 2.5 or -3, without words or units." : "Write a number first.");
    field.focus();
    return undefined;
  }
  problem("");
  if (practice) return once(() => checkPractice(answer));
  return once(async () => {
    const entry = { answer_id: crypto.randomUUID(), query_id: task.query_id, answer, ...(byId("unsure").checked && { unsure: true }), ...spent() };
    if (await deliver(entry, answer)) await next();
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
    drafts.done({ query_id: query, what: "skipped", answer: written(), at: Date.now() });
    showProgress(told.progress);
    mention("Skipped.");
    await next();
  });
}

function bringBack() {
  return once(async () => {
    const told = await insist(() => call("api/skips/return", {}));
    drafts.forgetSkips();
    mention(told.returned === 1 ? "1 question is back." : `${count(told.returned)} questions are back.`, "good");
    await next();
  });
}

/** Another tab has changed what is kept here: it may have answered this question. */
function onOtherTab() {
  if (task && !practice && drafts.isDone(task.query_id)) once(next);
  else showUndo();
}

async function undoLast() {
  const step = drafts.last(me.undo_seconds);
  if (step) await undo(step);
  else say("There is nothing to undo.");
}

/** Take an answer or a skip back and ask its question again. */
async function undo(step) {
  if (task) drafts.keep(task.query_id, draftOf(written()));
  drafts.forget(step.query_id);
  const told = await unlessRemoved(() => call("api/undo", { query_id: step.query_id, ...(step.answer_id ? { answer_id: step.answer_id } : { skipped: true }) }));
  if (!told) return;
  drafts.keep(step.query_id, { answer: step.answer, seconds: 0, unsure: step.unsure });
  showProgress(told.progress);
  mention(`Undone: ${step.what}.`, "good");
  if (told.task) await take(told.task);
  else await next();
}

/** Do what the address asks for: the page "My work" comes here to change an answer. Returns whether it did. */
async function changed() {
  const wanted = new URLSearchParams(window.location.hash.slice(1));
  if (!wanted.get("change")) return false;
  window.history.replaceState(null, "", window.location.pathname); // a reload does not do it again
  const what = wanted.get("answer") ?? "the question is asked again";
  try {
    await undo({ query_id: wanted.get("change"), answer_id: wanted.get("id"), what, answer: wanted.get("answer") ?? "", unsure: Boolean(wanted.get("unsure")) });
  } catch (error) {
    if (![404, 409].includes(error.status)) throw error;
    await next();
    say(error.message, "bad");
  }
  return true;
}

function writeNote() {
  if (!task || practice || busy) return;
  const { query_id } = task;
  write("Comment to the lead", "The lead sees it with this question; the answer comes under “My work”. To say that the question is at fault, reject it instead.", "Send",
    (text) => call("api/mine/comments", { query_id, text })).then((sent) => { if (sent) mention("The comment is sent.", "good"); attend(); });
}

// --- reject ---

function openReject() {
  if (!task || practice || busy) return;
  const set = byId("reasons");
  if (!reasonsShown) {
    reasonsShown = true;
    me.reasons.forEach((reason, index) => set.append(el("label", { class: "check" },
      el("input", { type: "radio", name: "reason", value: reason.code }),
      el("kbd", {}, String(index + 1)), el("span", {}, reason.label))));
  }
  byId("reject-form").reset();
  byId("reject-problem").textContent = "";
  needComment();
  byId("reject-box").showModal();
  set.querySelector("input").focus();
}

const chosenReason = () => byId("reject-form").querySelector("input[name=reason]:checked")?.value;

function needComment() {
  byId("comment-need").textContent = chosenReason() === "other" ? "(needed)" : "(optional)";
  byId("reject-problem").textContent = wrongComment();
}

function sendReject() {
  const reason = chosenReason();
  const comment = byId("comment").value.trim();
  if (!reason || (reason === "other" && !comment) || wrongComment()) {
    byId("reject-problem").textContent = !reason ? "Choose a reason." : wrongComment() || "Write in a few words what is wrong.";
    if (reason) byId("comment").focus();
    return;
  }
  byId("reject-box").close();
  const label = me.reasons.find((one) => one.code === reason).label;
  once(async () => {
    const entry = { answer_id: crypto.randomUUID(), query_id: task.query_id, reject_reason: reason,
      ...(comment && { comment }), ...spent() };
    if (await deliver(entry, `rejected, ${label}`)) await next();
  });
}

// --- practice ---

async function startPractice() {
  const told = (await round) ?? (await insist(() => call("api/practice")));
  round = null;
  if (!told.tasks.length) {
    say("There is no practice round on this server.");
    await next();
    return;
  }
  task = null;
  practice = { tasks: told.tasks, at: 0, answered: false };
  say("");
  showPractice();
}

function showPractice() {
  const { tasks, at } = practice;
  practice.answered = false;
  byId("mode").hidden = false;
  byId("progress").hidden = byId("unskip").hidden = true; // it counts answers, and these are none
  byId("mode").textContent = `Practice ${at + 1} of ${tasks.length}: these answers are not counted`;
  byId("others").hidden = byId("notes").hidden = true;
  byId("send").firstChild.textContent = "Check ";
  show(tasks[at].question, tasks[at].image, tasks[at].width, tasks[at].height, { answer: "", seconds: 0 });
}

async function checkPractice(answer) {
  if (practice.answered) {
    practice.at += 1;
    if (practice.at < practice.tasks.length) showPractice();
    else await endPractice();
    return;
  }
  const told = await insist(() => call(`api/practice/${practice.tasks[practice.at].number}`, { answer }));
  practice.answered = true;
  const last = practice.at + 1 === practice.tasks.length;
  byId("send").firstChild.textContent = !last ? "Next " : told.qualification ? "See the result " : "Start the real questions ";
  byId("feedback").replaceChildren(el("div", { class: "feedback", data: { right: told.right ? "yes" : "no" } },
    el("strong", {}, told.right ? "Correct." : `Not correct: the answer is ${told.answer}.`),
    ...told.explanation.split("\n").map((line) => el("p", {}, line))));
  byId("feedback").scrollIntoView({ block: "nearest" });
}

async function endPractice() {
  const told = await insist(() => call("api/practised", {}));
  me.practised = true;
  leavePractice();
  if (told.qualification) {
    askPractice(told.qualification);
    return;
  }
  mention("Practice finished. From now on your answers count.", "good");
  await next();
}

function leavePractice() {
  practice = null;
  byId("mode").hidden = true;
  byId("progress").hidden = false;
  byId("others").hidden = byId("notes").hidden = false;
  byId("send").firstChild.textContent = "Send ";
}

function offerPractice() {
  practiceNotice("Before you start", beforeStart(me.qualification), "Start the practice round");
}

/** Say what is missing before the first question. */
function askPractice(state) {
  task = null;
  clearTimeout(waiting);
  byId("progress").hidden = true; // there is none yet
  const [title, text] = notYet(state);
  practiceNotice(title, text, state.over ? null : "Practise");
  if (state.over) waiting = setTimeout(() => once(next), WAIT); // a lead may admit them
}

function practiceNotice(title, text, button) {
  round = call("api/practice").catch(() => null); // requested again when needed
  notice(title, text, el("p", { class: "actions" },
    button && el("button", { type: "button", class: "primary", on: { click: () => once(startPractice) } }, button),
    el("a", { class: "button", href: "guidelines" }, "Read the guidelines")));
}

// --- keys and buttons ---

const letters = {
  s: () => !practice && task && skip(),
  r: openReject,
  u: () => afterwards(undoLast),
  z: () => picture.zoom(1),
  x: () => picture.zoom(-1),
  f: () => picture.fit(),
  g: () => { window.location.href = "guidelines"; },
  n: () => !practice && task && byId("unsure").click(),
  c: writeNote,
  "?": () => byId("help-box").showModal(),
};

const moves = { ArrowUp: [0, -0.2], ArrowDown: [0, 0.2], ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0] };

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.repeat && !moves[event.key]) return;
  const inField = event.target === field;
  const typing = event.target.matches("input, textarea, select");
  const act = !typing && letters[event.key.toLowerCase()];
  if (act && (drafts?.letters || event.key === "?")) {
    event.preventDefault();
    act();
  } else if (moves[event.key] && picture.zoomed && (!inField || !field.value || event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    picture.pan(...moves[event.key]);
  } else if (inField && event.key === "Escape") {
    byId("question").focus({ preventScroll: true });
  } else if (/^[\d.-]$/.test(event.key) && !typing && !byId("desk").hidden) {
    field.focus(); // the character is then typed into the field
    field.setSelectionRange(field.value.length, field.value.length);
  } else if (event.key === "Enter" && [document.body, byId("question")].includes(event.target) && !byId("desk").hidden) {
    send();
  }
}

function onReasonKey(event) {
  if (event.target === byId("comment") || !/^\d$/.test(event.key)) return;
  const choice = byId("reasons").querySelectorAll("input")[Number(event.key) - 1];
  if (!choice) return;
  choice.checked = true;
  choice.focus();
  needComment();
}

function listen() {
  document.addEventListener("keydown", onKey);
  byId("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  field.addEventListener("input", () => {
    problem("");
    if (task) drafts.keep(task.query_id, draftOf(field.value));
  });
  const clicks = {
    skip, reject: openReject, undo: () => afterwards(undoLast), help: () => byId("help-box").showModal(),
    practise: () => once(startPractice), unskip: bringBack, note: writeNote,
    "zoom-in": () => picture.zoom(1), "zoom-out": () => picture.zoom(-1), "zoom-fit": () => picture.fit(),
    "help-close": () => byId("help-box").close(), "login-again": () => byId("login-box").close(),
    "reject-cancel": () => byId("reject-box").close(),
    sign: () => {
      field.value = field.value.startsWith("-") ? field.value.slice(1) : `-${field.value}`;
      field.dispatchEvent(new Event("input"));
      field.focus();
    },
  };
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", act);
  byId("reject-form").addEventListener("submit", (event) => { event.preventDefault(); sendReject(); });
  byId("unsure").addEventListener("change", () => { if (task) drafts.keep(task.query_id, draftOf(field.value)); });
  wrongComment = watchComment();
  byId("reject-form").addEventListener("change", needComment);
  byId("comment").addEventListener("input", needComment);
  byId("reject-form").addEventListener("keydown", onReasonKey);
  byId("reject-box").addEventListener("close", attend);
  byId("letters").addEventListener("change", (event) => { drafts.letters = event.target.checked; });
  window.addEventListener("pagehide", () => {
    if (task) drafts.keep(task.query_id, draftOf(field.value));
  });
}

async function start() {
  me = await insist(() => call("api/me"));
  navigation(me, "annotate");
  if (!me.annotator) {
    notice("You are not an annotator", "This page is for annotators. Leads use the lead page.");
    return;
  }
  drafts = new Drafts(me.name);
  if (me.idle_seconds) active = new ActiveClock(me.idle_seconds);
  drafts.onchange = onOtherTab;
  byId("letters").checked = drafts.letters;
  listen();
  const kept = drafts.pending;
  if (kept) await deliver(kept.entry, kept.what);
  if (!me.practised) offerPractice();
  else if (!(await changed())) await next();
}

once(start);

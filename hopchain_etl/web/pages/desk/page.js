// What the desk shows: a question with its photo, or a notice; what was typed, and the time spent on it.

import { byId, count, el, say, titled, unbroken } from "../shared/common.js";
import { t } from "../shared/i18n.js";
import { Picture } from "../shared/picture.js";
import { ActiveClock } from "./active.js";
import { Clock } from "./drafts.js";
import { plainNumber } from "./numbers.js";
import { Steps } from "./steps.js";

const WAIT = 20_000; // ms between checks for new questions
const TOUCH = window.matchMedia("(hover: none) and (pointer: coarse)");

export const field = byId("answer");
export const picture = new Picture(byId("stage"), byId("photo"), byId("level"));
const clock = new Clock();
let active; // an ActiveClock, once it is known after how long a person is idle
let waiting; // timer

const steps = new Steps(byId("steps"), (result) => setAnswer(result)); // Enter then sends it

/** Show a notice in place of the question. */
export function notice(title, text, ...more) {
  byId("desk").hidden = true;
  byId("notice").hidden = false;
  byId("notice").replaceChildren(el("h1", { id: "notice-title" }, title), el("p", {}, text), ...more);
  byId("notice").setAttribute("aria-labelledby", "notice-title");
  (byId("notice").querySelector("button, a") ?? byId("notice")).focus();
}

/** Run a step in a while, unless something else is shown until then. */
export function later(step) {
  stopWaiting();
  waiting = setTimeout(step, WAIT);
}

export const stopWaiting = () => clearTimeout(waiting);

/** Let the person type. Nothing scrolls; on a touch device this would open the keyboard over photo and question. */
export function attend() {
  (TOUCH.matches ? byId("question") : field).focus({ preventScroll: true });
}

/** Show a question with its photo; `draft` has the typed answer, and the seconds already spent in all and active. */
export function show(question, source, width, height, draft) {
  stopWaiting();
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
    () => { byId("loading").textContent = t("The photo cannot be shown. Reload the page, or reject the question with “The picture is broken”."); },
  );
}

/** Show a short message that disappears by itself. */
export function mention(text, kind = "") {
  say(text, kind);
  setTimeout(() => { if (byId("message").textContent === text) say(""); }, 6_000);
}

/** Say what is wrong with the typed answer. */
export function problem(text) {
  byId("problem").textContent = text;
  field.setAttribute("aria-invalid", text ? "true" : "false");
}

export function setAnswer(text) {
  field.value = text;
  field.dispatchEvent(new Event("input"));
  field.focus();
}

/** What is typed, as the server takes it. */
export const written = () => plainNumber(field.value);

/** Name the button that sends. */
export const nameSend = (text) => byId("send").replaceChildren(text, " ", el("kbd", {}, "Enter"));

export const skipsBack = (many) => t("Bring back my skips ({n})", { n: count(many) });

/** Show how far the person and the batch are. */
export function showProgress(progress) {
  if (!progress) return;
  byId("progress").hidden = false;
  byId("mine").textContent = t("Answered by you: {n}", { n: count(progress.mine) });
  const there = Boolean(progress.batch);
  byId("unskip").hidden = !progress.skipped;
  byId("unskip").textContent = skipsBack(progress.skipped);
  byId("batch").hidden = byId("batch-text").hidden = !there;
  if (!there) return;
  byId("batch-text").textContent = t("{batch}: {decided} of {all} decided, {left} left for you", {
    batch: titled({ id: progress.batch, title: progress.batch_title }),
    decided: count(progress.batch_decided), all: count(progress.batch_queries), left: count(progress.batch_left_for_me),
  });
  byId("batch").max = Math.max(1, progress.batch_queries);
  byId("batch").value = progress.batch_decided;
}

/** Count active time too; a server of an earlier version does not say after how long a person is idle. */
export function countActive(idle) {
  if (idle) active = new ActiveClock(idle);
}

/** The time spent on the question, as it is sent; a server of an earlier version takes no active time. */
export const spent = () => ({ seconds: clock.seconds, ...(active && { active_seconds: Math.min(active.seconds, clock.seconds) }) });

/** What is kept of a question that is not answered yet. */
export const draftOf = (answer) => ({ answer, seconds: clock.seconds, active: active?.seconds, unsure: byId("unsure").checked });

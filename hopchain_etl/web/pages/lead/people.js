// All annotators: who they are, choosing among them, and voiding their answers.

import { byId, call, confirmIn, count, el, say, trying } from "../shared/common.js";
import { number, table } from "../shared/table.js";
import { ask } from "./ask.js";

let names = []; // of the annotators who may be asked

/** A field to choose among all annotators for batches with so many seats; its value is null for all of them. */
export function peopleField(name, label, chosen, seats) {
  const boxes = names.map((one) => el("label", { class: "check" },
    el("input", { type: "checkbox", name: "person", value: one, checked: chosen.includes(one) }), el("span", {}, one)));
  const hint = `Mark at least ${seats ?? "as many as a question has seats"}; nobody marked: all annotators. Somebody is missing here? Who is new appears after the practice round.`;
  const row = el("fieldset", { "aria-describedby": "ask-people-hint" }, el("legend", {}, label),
    el("div", { class: "choices" }, boxes.length ? boxes : el("p", { class: "soft" }, "Nobody is known yet.")),
    el("p", { class: "soft", id: "ask-people-hint" }, hint));
  const read = () => {
    const found = [...row.querySelectorAll("input:checked")].map((box) => box.value);
    return found.length ? found : null;
  };
  return { name, row, read };
}

/** Show all annotators; `changed` is called after somebody was voided or counted again. */
export async function loadPeople(changed) {
  const told = await call("api/lead/annotators");
  names = told.annotators.filter((one) => !one.voided && !one.erased).map((one) => one.annotator);
  byId("everybody").replaceChildren(told.annotators.length ? table("All annotators",
    [["Annotator"], ["Answers", "number"], ["State"], [""]], told.annotators.map((who) => personRow(who, changed)))
    : el("p", { class: "empty" }, "None yet."));
}

function personRow(who, changed) {
  const button = who.voided
    ? el("button", {
      type: "button", class: "small-button", "aria-label": `Count ${who.annotator} again …`, on: { click: () => unvoidAnnotator(who.annotator, changed) },
    }, "Count again …")
    : el("button", {
      type: "button", class: "danger small-button", "aria-label": `Void ${who.annotator} …`, on: { click: () => trying(() => voidAnnotator(who.annotator, changed)) },
    }, "Void …");
  const state = who.voided ? `void: ${who.voided_reason} (by ${who.voided_by})` : who.erased ? "erased; the answers count" : "counted";
  return el("tr", {}, el("th", { scope: "row" }, who.annotator), number(count(who.answers)), el("td", {}, state), el("td", { class: "number" }, button));
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

async function voidAnnotator(name, changed) {
  const effect = await call(`api/lead/void?annotator=${encodeURIComponent(name)}`);
  ask(`Void ${name}`, "Void", [{ name: "reason", label: "Why?", hint: effectWords(effect) }],
  async ({ reason }) => {
    if (!reason) throw new Error("Enter a reason, so that others understand it later.");
    const told = await call("api/lead/void", { annotator: name, reason });
    say(`${name} is void; ${count(told.seats)} seats are open again.`, "good");
    await changed();
  });
}

async function unvoidAnnotator(name, changed) {
  const yes = await confirmIn(`Count the answers of ${name} again?`, "Batches that lack these answers are collected again. Seats that others have taken meanwhile stay theirs.", "Count again");
  if (!yes) return;
  await trying(async () => {
    await call("api/lead/unvoid", { annotator: name });
    say(`The answers of ${name} count again.`, "good");
    await changed();
  });
}

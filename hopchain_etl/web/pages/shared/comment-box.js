// A dialog in which somebody writes a comment or an answer to one, and how a thread of them looks.

import { COMMENT, countCharacters, el, single } from "./common.js";
import { locale, t } from "./i18n.js";

/** Ask for a text; `send` stores it, and what it throws is shown. Resolves to whether something was sent. */
export function write(heading, about, button, send) {
  return new Promise((resolve) => {
    const field = el("textarea", { id: "note-text", rows: 4, "aria-describedby": "note-count" });
    const counter = el("p", { class: "soft count", id: "note-count" });
    const problem = el("p", { class: "problem", role: "alert" });
    const form = el("form", { novalidate: true },
      el("h2", { id: "note-title" }, heading), el("p", { class: "soft" }, about),
      el("label", { for: "note-text" }, t("Your text")), field, counter, problem,
      el("div", { class: "actions" },
        el("button", { type: "button", on: { click: () => box.close() } }, t("Cancel"), " ", el("kbd", {}, "Esc")),
        el("button", { type: "submit", class: "primary" }, button)));
    const box = el("dialog", { "aria-labelledby": "note-title" }, form);
    const length = countCharacters(field, counter);
    let done = false;
    const submit = single(async () => {
      problem.textContent = !length() ? t("Write something first.") : length() > COMMENT ? t("This is too long. Shorten it.") : "";
      if (problem.textContent) return;
      try {
        await send(field.value.trim());
        done = true;
        box.close();
      } catch (error) {
        problem.textContent = error.message;
      }
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
    box.addEventListener("close", () => { box.remove(); resolve(done); });
    document.body.append(box);
    box.showModal();
    field.focus();
  });
}

/** Return the messages of a thread as a list; `name` says who "by" is. */
export const thread = (messages, name) => el("ul", { class: "said" }, messages.map((one) =>
  el("li", {}, el("b", {}, name(one.by)), " ", el("span", { class: "soft" }, clock(one.at)), el("br"), one.text)));

/** A time for people: the hour if it is today, otherwise the day too. */
export function clock(at) {
  const when = new Date(at);
  const hour = when.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  const today = when.toDateString() === new Date().toDateString();
  return today ? hour : `${when.toLocaleDateString(locale, { day: "numeric", month: "short" })}, ${hour}`;
}

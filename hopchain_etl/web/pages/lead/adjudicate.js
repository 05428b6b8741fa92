// Labels of disagreements on the lead's page, and sending marked questions to fresh people.

import { byId, call, COMMENT, count, el, say, single, titled, trying } from "../shared/common.js";
import { ask } from "./ask.js";

/** The labels of the batch that is shown; `changed` is called after a new batch. */
export class Labels {
  constructor(changed) {
    this.changed = changed;
    byId("fresh").addEventListener("click", () => this.#send());
  }

  async load(batch) {
    this.batch = batch;
    const told = await call(`api/lead/adjudications?batch=${encodeURIComponent(batch)}`);
    if (this.batch !== batch) return; // another one was chosen meanwhile
    this.told = told;
    const many = this.told.ready.length;
    byId("fresh").hidden = !many;
    byId("fresh").textContent = many === 1 ? "Ask fresh people the marked question …" : `Ask fresh people the ${count(many)} marked questions …`;
  }

  /** The form of one disagreement; nothing while people are still answering the question. */
  element(one) {
    const box = el("details", { class: "label" });
    this.#fill(box, one);
    return one.decision === "open" && !this.told.items[one.query_id] ? "" : box;
  }

  #fill(box, one) {
    const held = this.told.items[one.query_id];
    const id = (name) => `label-${name}-${one.query_id}`;
    const name = (code) => this.told.labels.find((label) => label.code === code)?.label ?? code;
    const problem = el("p", { class: "problem", role: "alert", id: id("problem") });
    const comment = el("textarea", { id: id("comment"), rows: 2, "aria-describedby": id("problem") });
    comment.value = held?.comment ?? "";
    const again = el("input", { type: "checkbox", checked: held?.again });
    const choices = this.told.labels.map(({ code, label }) => el("label", { class: "check" },
      el("input", { type: "radio", name: id("code"), value: code, checked: held?.label === code }), el("span", {}, label)));
    const form = el("form", { novalidate: true },
      el("fieldset", {}, el("legend", {}, "Why did people disagree?"), choices),
      el("label", { for: id("comment") }, "Comment ", el("span", { class: "soft" }, "(optional)")), comment,
      el("label", { class: "check" }, again, el("span", {}, "Ask fresh people: they decide, and these answers count no more")),
      problem, el("p", { class: "actions" }, el("button", { type: "submit", "aria-label": `Save the label of: ${one.question}` }, "Save label")));
    const submit = single(async () => {
      const label = form.querySelector("input[type=radio]:checked")?.value;
      problem.textContent = !label ? "Choose what it was." : [...comment.value.trim()].length > COMMENT ? `The comment may have ${COMMENT} characters.` : "";
      if (problem.textContent) return;
      try {
        await call("api/lead/adjudications", {
          batch: this.batch, query_id: one.query_id, label, comment: comment.value.trim() || null, again: again.checked, after: held?.number ?? 0,
        });
        await this.load(this.batch);
        box.open = false;
        this.#fill(box, one);
        box.querySelector("summary").focus();
        say("The label is stored.", "good");
      } catch (error) {
        problem.textContent = error.message;
      }
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
    const sent = this.told.sent.includes(one.query_id);
    box.replaceChildren(el("summary", {}, held
      ? `Label: ${name(held.label)} (${held.by}, ${held.at.slice(0, 10)})${sent ? "; sent to fresh people" : held.again ? "; marked for fresh people" : ""}`
      : "Label this disagreement"), held?.comment ? el("p", { class: "soft" }, held.comment) : "", form);
  }

  #send() {
    const many = this.told.ready.length;
    const old = this.batch;
    ask(`Ask fresh people ${count(many)} ${many === 1 ? "question" : "questions"}`, "Ask", [
      { name: "id", label: "Name of the new batch", value: `${old.slice(0, 55)}-fresh`,
        hint: "People who have answered a question are not asked it again. The new answers alone decide, under the same rule; the earlier ones stay stored." },
    ], async ({ id }) => {
      const told = await call("api/lead/adjudications/fresh", { batch: old, id });
      say(`${titled(told.batch)} asks ${count(told.batch.queries)} ${told.batch.queries === 1 ? "question" : "questions"}.`, "good");
      await trying(() => this.changed());
    });
  }
}

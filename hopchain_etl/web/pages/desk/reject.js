// The dialog in which a person says why a question cannot be answered.

import { byId, el, watchComment } from "../shared/common.js";
import { fromServer, t } from "../shared/i18n.js";

export class RejectBox {
  /** `reasons` are pairs of code and label; `send` gets the code, the label and the comment. `closed`: after it. */
  constructor(reasons, send, closed) {
    this.reasons = reasons.map(({ code, label }) => ({ code, label: fromServer(label) }));
    this.send = send;
    this.wrongComment = watchComment();
    this.form = byId("reject-form");
    this.#fill();
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#submit(); });
    this.form.addEventListener("change", () => this.#check());
    this.form.addEventListener("keydown", (event) => this.#key(event));
    byId("comment").addEventListener("input", () => this.#check());
    byId("reject-cancel").addEventListener("click", () => byId("reject-box").close());
    byId("reject-box").addEventListener("close", closed);
  }

  open() {
    this.form.reset();
    byId("reject-problem").textContent = "";
    this.#check();
    byId("reject-box").showModal();
    byId("reasons").querySelector("input").focus();
  }

  #fill() {
    byId("reasons").append(...this.reasons.map(({ code, label }, index) => el("label", { class: "check" },
      el("input", { type: "radio", name: "reason", value: code }), el("kbd", {}, String(index + 1)), el("span", {}, label))));
  }

  get #chosen() {
    return this.form.querySelector("input[name=reason]:checked")?.value;
  }

  #check() {
    byId("comment-need").textContent = this.#chosen === "other" ? t("(needed)") : t("(optional)");
    byId("reject-problem").textContent = this.wrongComment();
  }

  #submit() {
    const reason = this.#chosen;
    const comment = byId("comment").value.trim();
    const missing = !reason ? t("Choose a reason.") : this.wrongComment()
      || (reason === "other" && !comment ? t("Write in a few words what is wrong.") : "");
    byId("reject-problem").textContent = missing;
    if (missing) {
      if (reason) byId("comment").focus();
      return;
    }
    byId("reject-box").close();
    this.send(reason, this.reasons.find((one) => one.code === reason).label, comment);
  }

  /** A digit chooses a reason. */
  #key(event) {
    if (event.target === byId("comment") || !/^\d$/.test(event.key)) return;
    const choice = byId("reasons").querySelectorAll("input")[Number(event.key) - 1];
    if (!choice) return;
    choice.checked = true;
    choice.focus();
    this.#check();
  }
}

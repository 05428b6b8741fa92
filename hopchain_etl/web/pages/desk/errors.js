// Wrong answers of a model, one after the other: at which step it went wrong first, and how.

import { byId, call, count, el, say, trying, watchComment } from "../shared/common.js";
import { fromServer, t } from "../shared/i18n.js";
import { navigation } from "../shared/navigation.js";
import { Picture } from "../shared/picture.js";

const picture = new Picture(byId("stage"), byId("photo"), byId("level"));
const wrongComment = watchComment();
let task = null;
let kinds = [];

/** A choice among several: one radio button with its label. */
function choice(group, value, ...label) {
  const button = el("input", { type: "radio", name: group, value, required: true });
  return el("label", { class: "check" }, button, " ", ...label);
}

const chosen = (group) => document.querySelector(`input[name="${group}"]:checked`)?.value;

function notice(title, text) {
  byId("left").textContent = "";
  byId("desk").hidden = true;
  byId("notice").replaceChildren(el("h1", {}, title), el("p", {}, text));
  byId("notice").hidden = false;
  byId("notice").focus();
}

/** Replace a field's choices, keeping its legend. */
function fill(id, choices) {
  const field = byId(id);
  field.replaceChildren(field.querySelector("legend"), ...choices);
}

async function next() {
  const told = await call("api/reviews/next");
  ({ task, kinds } = told);
  if (!task) return notice(t("Nothing to do"), t("There is no wrong answer left for you to look at. Thank you."));
  byId("left").textContent = t("{n} left", { n: count(told.left) });
  byId("question").textContent = task.question;
  byId("right").textContent = task.right;
  byId("response").textContent = task.response;
  byId("comment").value = "";
  wrongComment();
  byId("problem").textContent = "";
  fill("steps", [
    ...task.steps.map((step, place) => choice("step", String(place + 1), `${place + 1}. ${step}`)),
    choice("step", "none", t("none of them: in putting the results together, or elsewhere")),
  ]);
  fill("kinds", kinds.map(({ code, label }) => choice("kind", code, el("span", {}, el("b", {}, code), `: ${fromServer(label)}`))));
  byId("desk").hidden = false;
  byId("question").focus();
  return picture.show(task.image, task.width, task.height);
}

byId("form").addEventListener("change", () => { byId("problem").textContent = ""; });

byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [step, kind] = [chosen("step"), chosen("kind")];
  if (!step || !kind) {
    byId("problem").textContent = t("Choose a step, and what went wrong there.");
    return;
  }
  byId("problem").textContent = wrongComment();
  if (wrongComment()) return;
  byId("send").disabled = true;
  await trying(async () => {
    const hop = step === "none" ? null : Number(step);
    const comment = byId("comment").value.trim() || null;
    await call("api/reviews", { batch: task.batch, item: task.item, kind, hop, comment });
    say("");
    await next();
  });
  byId("send").disabled = false;
});

byId("zoom-in").addEventListener("click", () => picture.zoom(1));
byId("zoom-out").addEventListener("click", () => picture.zoom(-1));
byId("zoom-fit").addEventListener("click", () => picture.fit());

await trying(async () => {
  const me = await call("api/me");
  navigation(me, "errors");
  await next();
});

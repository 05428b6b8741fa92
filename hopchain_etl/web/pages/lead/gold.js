// Questions with known answers, which measure accuracy.

import { byId, call, count, say } from "../shared/common.js";
import { ask } from "./ask.js";

export async function loadGold() {
  const told = await call("api/lead/gold");
  const sources = Object.entries(told.sources).map(([source, many]) => `${source} ${count(many)}`).join(", ");
  byId("gold").textContent = told.items ? `${count(told.items)} known answers: ${sources}.` : "None yet: accuracy is not measured.";
}

/** Let the buttons add known answers; `changed` is called afterwards. */
export function listenToGold(changed) {
  const add = (source, heading, hint) => ask(heading, "Add", [{ name: "limit", label: "How many at most?", kind: "number", value: "20", hint }], async ({ limit }) => {
    const told = await call("api/lead/gold", { source, limit: Number(limit) });
    say(`${count(told.added)} known answers added.`, "good");
    await changed();
  });
  byId("gold-unanimous").addEventListener("click", () => add("unanimous", "Add unanimous questions", "Questions of final batches with unanimous answers."));
  byId("gold-drawn").addEventListener("click", () => add("drawn", "Add drawn pictures", "Pictures drawn by the project, whose answers are known exactly."));
}

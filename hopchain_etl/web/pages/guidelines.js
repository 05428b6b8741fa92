// The guidelines: the newest version with what has changed since the person opened them last, or an earlier version.

import { byId, call, day, el, guidelinesChanged, navigation, trying } from "./common.js";
import { differenceItems, nodesOf } from "./guideline_text.js";

const asked = new URLSearchParams(window.location.search);

const versionName = ({ number, at, note }) => `Version ${number}${at ? `, ${day(at)}` : ""}: ${note}`;

function versionRow(one, shown) {
  const before = one.number ? one.number - 1 : null;
  return el("li", {},
    el("a", { href: `guidelines?version=${one.number}`, "aria-current": one.number === shown && "page" }, versionName(one)),
    one.by && el("span", { class: "soft" }, ` by ${one.by}`),
    before !== null && el("a", { class: "compare", href: `guidelines?version=${one.number}&since=${before}`, "aria-label": `What changed in version ${one.number}` }, "what changed"));
}

function showText(told) {
  byId("text").replaceChildren(...nodesOf(told.html));
  byId("text").removeAttribute("aria-busy");
  byId("version").hidden = !told.newest && !told.number;
  byId("version").textContent = `${versionName(told)}${told.number === told.newest ? "" : ". This is an earlier version; it does not hold any more."}`;
  byId("differences-card").hidden = told.since === null;
  byId("differences-title").textContent = `What has changed since version ${told.since}`;
  byId("differences").replaceChildren(...(told.differences.length ? differenceItems(told.differences) : [el("li", {}, "Nothing.")]));
  byId("versions-card").hidden = told.versions.length < 2;
  byId("versions").replaceChildren(...told.versions.map((one) => versionRow(one, told.number)));
}

async function start() {
  const me = await call("api/me");
  navigation(me, "guidelines");
  byId("edit").hidden = !me.lead;
  const path = asked.has("version") ? `api/guidelines/versions/${encodeURIComponent(asked.get("version"))}` : "api/guidelines";
  const told = await call(asked.has("since") ? `${path}?since=${encodeURIComponent(asked.get("since"))}` : path);
  showText(told);
  if (me.guidelines && told.number >= me.guidelines.number) {
    await call("api/guidelines/opened", { number: told.number });
    guidelinesChanged(null);
  }
}

trying(start);

// The guidelines: the newest version with what has changed since the person opened them last, or an earlier version.

import { byId, call, day, el, trying } from "../shared/common.js";
import { t } from "../shared/i18n.js";
import { guidelinesChanged, navigation } from "../shared/navigation.js";
import { differenceItems, nodesOf } from "./text.js";

const asked = new URLSearchParams(window.location.search);

const versionName = ({ number, at, note }) => (at ? t("Version {number}, {day}: {note}", { number, day: day(at), note }) : t("Version {number}: {note}", { number, note }));

function versionRow(one, shown) {
  const before = one.number ? one.number - 1 : null;
  return el("li", {},
    el("a", { href: `guidelines?version=${one.number}`, "aria-current": one.number === shown && "page" }, versionName(one)),
    one.by && el("span", { class: "soft" }, " ", t("by {name}", { name: one.by })),
    before !== null && el("a", { class: "compare", href: `guidelines?version=${one.number}&since=${before}`, "aria-label": t("What changed in version {number}", one) }, t("what changed")));
}

function showText(told) {
  byId("text").replaceChildren(...nodesOf(told.html));
  byId("text").removeAttribute("aria-busy");
  byId("version").hidden = !told.newest && !told.number;
  byId("version").textContent = versionName(told) + (told.number === told.newest ? "" : `. ${t("This is an earlier version; it does not hold any more.")}`);
  byId("differences-card").hidden = told.since === null;
  byId("differences-title").textContent = t("What has changed since version {number}", { number: told.since });
  byId("differences").replaceChildren(...(told.differences.length ? differenceItems(told.differences) : [el("li", {}, t("Nothing."))]));
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

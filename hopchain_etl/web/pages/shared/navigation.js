// The bar of all pages: where one can go, what is new there, and the language.

import { byId, count, day, el } from "./common.js";
import { choose, language, LANGUAGES, t, translated } from "./i18n.js";

/** Fill the navigation: with the pages a person may open. `here` is the current page. */
export function navigation(me, here) {
  const pages = [
    ["annotate", t("Annotate"), me.annotator],
    ["my-work", t("My work"), me.annotator],
    ["errors", t("Errors"), me.annotator && me.reviews],
    ["guidelines", t("Guidelines"), true],
    ["lead", t("Lead"), me.lead],
    ["reports", t("Reports"), me.lead],
    ["browser", t("Dataset"), me.browser],
  ];
  byId("pages").replaceChildren(...pages.filter(([, , may]) => may).map(([name, label]) =>
    el("a", { href: name, "aria-current": name === here && "page" }, label)));
  byId("who").textContent = me.name;
  if (translated) byId("who").after(languageChoice());
  guidelinesChanged(me.guidelines);
  unread(me.unread);
}

/** Tell in the navigation how many comments have an answer that the person has not seen. */
export function unread(many) {
  const link = byId("pages").querySelector("a[href=my-work]");
  const badge = () => el("span", { class: "badge", data: { kind: "good" }, title: t("Answers to your comments") },
    count(many), el("span", { class: "unseen" }, " ", t("new")));
  link?.replaceChildren(t("My work"), ...(many ? [" ", badge()] : []));
}

/** Tell that the guidelines have changed, in the navigation and where the page has room for it; null: they have not. */
export function guidelinesChanged(change) {
  const link = byId("pages").querySelector("a[href=guidelines]");
  link?.replaceChildren(t("Guidelines"), ...(change ? [" ", el("span", { class: "badge", data: { kind: "warn" } }, t("changed"))] : []));
  const strip = byId("guidelines-changed");
  if (!strip) return;
  strip.hidden = !change;
  if (change) {
    strip.replaceChildren(t("Guidelines changed on {day}: {note}", { day: day(change.at), note: change.note }), " ",
      el("a", { href: "guidelines" }, t("See what changed")));
  }
}

/** The choice of a language; the page is loaded anew in it. */
function languageChoice() {
  const codes = Object.entries(LANGUAGES);
  return el("select", { class: "language", "aria-label": t("Language"), on: { change: (event) => choose(event.target.value) } },
    codes.map(([code, name]) => el("option", { value: code, lang: code, selected: code === language }, name)));
}

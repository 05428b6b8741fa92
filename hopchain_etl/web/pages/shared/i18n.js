// The pages' own texts in the person's language. English stands in the pages and scripts, and is the key of a message;
// messages/<language>.json has the others. Questions, names and what people write stay as they are.

import { keep, kept } from "./storage.js";

export const LANGUAGES = { en: "English", de: "Deutsch", es: "Español", zh: "中文" };

const KEPT = "hopchain-language";
const AIRFLOW = "i18nextLng"; // where Airflow's own pages keep the choice of language
const NOT_TEXT = "kbd, code, script, style, noscript";
const ATTRIBUTES = ["title", "aria-label", "alt", "placeholder"];

/** Pages for leads and of the dataset are in English only; those with other languages say so. */
export const translated = document.documentElement.hasAttribute("data-translated");
export const language = translated ? chosen() : "en";
/** For dates and numbers. */
export const locale = language === "en" ? "en-GB" : language;
const messages = language === "en" ? {} : await load();
const rules = new Intl.PluralRules(language);

/** The language that was chosen here, else in Airflow, else in the browser. */
function chosen() {
  for (const wanted of [kept("localStorage", KEPT), kept("localStorage", AIRFLOW), ...navigator.languages]) {
    const found = wanted?.toLowerCase().split(/[-_]/)[0];
    if (Object.hasOwn(LANGUAGES, found)) return found;
  }
  return "en";
}

/** Keep the choice and show the page in that language. */
export function choose(code) {
  if (keep("localStorage", KEPT, code)) window.location.reload(); // otherwise the browser's language decides
}

async function load() {
  const answer = await fetch(`assets/messages/${language}.json`, { credentials: "same-origin" }).catch(() => null);
  return answer?.ok ? answer.json() : {}; // without messages the page is in English
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** Return a text in the person's language; `{name}` stands for `values.name`. */
export const t = (text, values = {}) => filled(messages[text] ?? text, values);

/** Return `one` or `other`, by the number; a message has a form for each of its language's plurals. `n` is the number. */
export function plural(number, one, other, values = {}) {
  const forms = messages[other] ?? { one, other };
  const form = typeof forms === "string" ? forms : forms[rules.select(number)] ?? forms.other;
  return filled(form, { n: number.toLocaleString(locale), ...values });
}

/** Return a text as a list of strings and elements; `{name}` stands for the element `nodes.name`. */
export const parts = (text, nodes) => split(messages[text] ?? text, nodes);

const split = (text, nodes) => text.split(/\{(\w+)\}/).map((part, at) => (at % 2 ? nodes[part] : part)).filter((part) => part !== "");

/** Return a text that the server sent in English; one without a message stays as it is. */
export const fromServer = (text) => t(text);

/** Put the messages of all texts of the page's HTML in their place; `{0}` in a key stands for the first element inside. */
function translatePage() {
  for (const node of document.querySelectorAll("title, body *")) {
    if (node.closest(NOT_TEXT)) continue;
    for (const name of ATTRIBUTES) if (node.hasAttribute(name)) node.setAttribute(name, t(node.getAttribute(name)));
    if (![...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && /\p{L}/u.test(child.data))) continue;
    const inside = [...node.children];
    const key = [...node.childNodes].map((child) => (child.nodeType === Node.TEXT_NODE ? child.data : `{${inside.indexOf(child)}}`)).join("");
    node.replaceChildren(...split(t(key.replace(/\s+/g, " ").trim()), inside));
  }
}

document.documentElement.lang = language;
if (language !== "en") translatePage();

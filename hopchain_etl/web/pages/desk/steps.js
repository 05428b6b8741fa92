// The question as numbered steps, with a field for each number that it names and a line that calculates with them.
//
// The steps are cut from the question's text, so that they say what the released question says, whoever wrote it.

import { byId, el, unbroken } from "../shared/common.js";
import { parts, t } from "../shared/i18n.js";
import { keep, kept } from "../shared/storage.js";
import { plainNumber } from "./numbers.js";

const SHOWN = "hopchain-steps"; // "paragraph" if a person prefers one paragraph
const KEPT = "hopchain-scratch"; // the numbers noted for the question that is open, until it is sent
const OPEN = { '"': '"', "“": "”" };

/** Return the question cut into its sentences; joined by spaces, they are the question again. Quoted text is not cut. */
export function cut(question) {
  const text = question.trim().replace(/\s+/g, " ");
  const steps = [];
  let start = 0;
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    if (quote) quote = text[at] === quote ? "" : quote;
    else if (OPEN[text[at]]) quote = OPEN[text[at]];
    if (!quote && /[.?!]["”)]?$/.test(text.slice(start, at + 1)) && ends(text.slice(start, at + 1), text.slice(at + 1))) {
      steps.push(text.slice(start, at + 1));
      start = at + 2;
    }
  }
  if (start < text.length) steps.push(text.slice(start));
  return steps;
}

/** Return whether a sentence ends here: a capital, a digit or a quotation follows, and it was no abbreviation. */
function ends(before, after) {
  return /^ ["“(]?[\p{Lu}\d]/u.test(after) && !/(^|[\s(])(No|Nr|Mr|Mrs|Dr|St|vs|e\.g|i\.e)\.$/u.test(before);
}

/** Return the single letters that the question names numbers by, in order: each is used again later. */
export function names(question) {
  const plain = question.replace(/"[^"]*"|“[^”]*”/g, '""');
  const found = plain.match(/(?<![\p{L}\d'’])[A-Z](?![\p{L}\d'’])/gu) ?? [];
  const inside = new Set(plain.match(/(?<=[\p{Ll}\d,;:+×*−(-] )[A-Z](?![\p{L}\d'’])/gu) ?? []); // not only "A dog ..."
  return [...new Set(found)].filter((name) => inside.has(name) && found.filter((one) => one === name).length > 1);
}

/** Return the formula that the question asks for in the end, such as "A × B + C"; "" if it asks in other words. */
export function formula(question) {
  return /(?:^|[.:;,] |\s)(?:What is|Compute|Calculate|Work out) ([A-Z\d (][-A-Z\d. ()+−–×*·÷/]*)[?.]$/.exec(question)?.[1].trim() ?? "";
}

const gcd = (a, b) => (b ? gcd(b, a % b) : a < 0n ? -a : a);

/** Return the exact value of a formula over `numbers` (texts by name) as decimal text. Throws Error with what is wrong. */
export function calculate(text, numbers = {}) {
  const tokens = text.match(/\d+(?:\.\d+)?|[A-Za-z]|[-+−–×*·÷/()]|\S/g) ?? [];
  let at = 0;
  const part = (n, d = 1n) => { const g = gcd(n, d) || 1n; return d < 0n ? [-n / g, -d / g] : [n / g, d / g]; };
  const decimal = (said) => {
    const [, sign, whole, rest = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(said) ?? [];
    if (whole === undefined) throw new Error(t("{text} is not a number", { text: said }));
    return part(BigInt(`${sign}${whole}${rest}`), 10n ** BigInt(rest.length));
  };
  const atom = () => {
    const token = tokens[at++];
    if (token === undefined) throw new Error(t("The end is missing"));
    if (token === "(") {
      const value = sum();
      if (tokens[at++] !== ")") throw new Error(t("A bracket stays open"));
      return value;
    }
    if (/^[-−–]$/.test(token)) { const [n, d] = atom(); return [-n, d]; }
    if (/^\d/.test(token)) return decimal(token);
    if (!/^[A-Za-z]$/.test(token)) throw new Error(t("{text} is out of place", { text: token }));
    const said = numbers[token.toUpperCase()] ?? "";
    if (!said) throw new Error(t("{text} is empty", { text: token.toUpperCase() }));
    return decimal(said);
  };
  const product = () => {
    let [n, d] = atom();
    while (/^[×*·÷/]$/.test(tokens[at] ?? "")) {
      const divide = /[÷/]/.test(tokens[at++]);
      const [m, e] = atom();
      if (divide && m === 0n) throw new Error(t("Nothing can be divided by 0"));
      [n, d] = divide ? part(n * e, d * m) : part(n * m, d * e);
    }
    return [n, d];
  };
  const sum = () => {
    let [n, d] = product();
    while (/^[-+−–]$/.test(tokens[at] ?? "")) {
      const sign = tokens[at++] === "+" ? 1n : -1n;
      const [m, e] = product();
      [n, d] = part(n * e + sign * m * d, d * e);
    }
    return [n, d];
  };
  const value = sum();
  if (at < tokens.length) throw new Error(t("{text} is out of place", { text: tokens[at] }));
  return written(value);
}

function written([n, d]) {
  for (let places = 0; places <= 12; places += 1) {
    const scaled = n * 10n ** BigInt(places);
    if (scaled % d !== 0n) continue;
    const digits = String(scaled / d).replace("-", "").padStart(places + 1, "0");
    const whole = digits.slice(0, digits.length - places);
    return `${n < 0n ? "-" : ""}${whole}${places ? `.${digits.slice(-places)}` : ""}`;
  }
  throw new Error(t("{text} has no end as a decimal", { text: `${n}/${d}` }));
}

/** The steps beside the photo; `take` is called with the result when a person takes it over as the answer. */
export class Steps {
  constructor(place, take) {
    this.place = place;
    this.take = take;
    this.shown = kept("localStorage", SHOWN);
    document.addEventListener("keydown", (event) => this.jump(event));
    // What is typed into these fields is no shortcut and not the answer.
    place.addEventListener("keydown", (event) => { if (event.target.matches("input")) this.typed(event); });
  }

  /** Show a question; numbers noted for it before a reload are still there. */
  show(question) {
    this.question = question;
    const kept = this.kept();
    const waiting = new Set(names(question));
    const rows = cut(question).map((text) => {
      const here = [...waiting].filter((name) => names_in(text).has(name));
      here.forEach((name) => waiting.delete(name));
      return el("li", {}, el("span", {}, unbroken(text)), here.map((name) => this.scratch(name, kept.numbers[name] ?? "")));
    });
    this.formula = el("input", { id: "formula", type: "text", maxlength: 80, spellcheck: "false", autocomplete: "off",
      "aria-label": t("Calculate"), placeholder: "2 × (3 + 4)", on: { input: () => this.work() } });
    this.formula.value = kept.formula ?? formula(question);
    this.result = el("output", { id: "result", for: "formula" });
    this.over = el("button", { type: "button", id: "take-over", on: { click: () => this.takeOver() } }, t("Take over"));
    this.place.replaceChildren(
      el("ol", { class: "steps", lang: "en" }, rows),
      el("div", { class: "calculator" }, this.formula, this.result, this.over),
      el("p", { class: "soft hint" },
        el("span", { class: "keys" }, parts("{equals} notes a number, {enter} goes on.", { equals: el("kbd", {}, "="), enter: el("kbd", {}, "Enter") }), " "),
        el("button", { type: "button", class: "link", id: "as-text", on: { click: () => this.turn() } })));
    this.arrange();
    this.work();
  }

  scratch(name, value) {
    const field = el("input", { type: "text", inputmode: "decimal", maxlength: 27, autocomplete: "off",
      spellcheck: "false", data: { name }, "aria-label": t("Your note for {name}", { name }), on: { input: () => this.work() } });
    field.value = value;
    return el("span", { class: "scratch" }, el("span", { "aria-hidden": "true" }, `${name} =`), field);
  }

  get fields() {
    return [...this.place.querySelectorAll(".scratch input")];
  }

  /** Calculate anew, and keep what is noted. */
  work() {
    const numbers = Object.fromEntries(this.fields.map((one) => [one.dataset.name, plainNumber(one.value)]));
    let told = "";
    try {
      this.value = this.formula.value.trim() ? calculate(this.formula.value, numbers) : "";
      told = this.value && `= ${this.value}`;
    } catch (error) {
      this.value = "";
      told = this.fields.some((one) => one.value) || this.formula.value !== formula(this.question) ? error.message : "";
    }
    this.result.textContent = told;
    this.result.dataset.sure = this.value ? "yes" : "no";
    this.over.disabled = !this.value;
    keep("sessionStorage", KEPT, JSON.stringify({ question: this.question, numbers, formula: this.formula.value }));
  }

  kept() {
    const noted = JSON.parse(kept("sessionStorage", KEPT) ?? "null");
    return noted?.question === this.question ? noted : { numbers: {} };
  }

  takeOver() {
    if (this.value) this.take(this.value);
  }

  /** "=" goes to the first empty note, from anywhere on the page but a text field of another dialog. */
  jump(event) {
    if (event.key !== "=" || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const field = this.fields.find((one) => !one.value) ?? this.formula;
    if (!field?.checkVisibility()) return;
    event.preventDefault();
    field.focus();
  }

  typed(event) {
    event.stopPropagation();
    if (event.key === "=") this.jump(event);
    if (event.key !== "Enter") return;
    event.preventDefault();
    const next = event.target === this.formula ? undefined : this.fields.find((one) => !one.value);
    if (next && next !== event.target) next.focus();
    else if (this.value) this.takeOver();
    else this.formula.focus();
  }

  turn() {
    this.shown = this.shown === "paragraph" ? "steps" : "paragraph";
    keep("localStorage", SHOWN, this.shown);
    this.arrange();
  }

  /** Show steps or one paragraph; who listens to the page hears the heading, which is the whole question. */
  arrange() {
    const text = this.shown === "paragraph";
    byId("question").classList.toggle("unseen", !text);
    this.place.querySelectorAll(".steps li > span:first-child").forEach((one) => { one.hidden = text; });
    this.place.dataset.text = text ? "yes" : "no";
    byId("as-text").textContent = text ? t("Show as steps") : t("Show as one paragraph");
  }
}

const names_in = (text) => new Set(text.replace(/"[^"]*"|“[^”]*”/g, '""').match(/(?<![\p{L}\d'’])[A-Z](?![\p{L}\d'’])/gu) ?? []);

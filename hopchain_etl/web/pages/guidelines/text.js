// Shows the text of the guidelines, and where two versions differ.

import { el } from "../shared/common.js";
import { t } from "../shared/i18n.js";

/** The nodes of HTML that the server has made from Markdown: it lets only a list of elements and attributes through. */
export function nodesOf(html) {
  return [...new DOMParser().parseFromString(html, "text/html").body.childNodes];
}

const KINDS = { out: ["del", t("taken out:")], in: ["ins", t("new:")] };

/** One list item for each place where two versions differ; `words` are pairs of kind and text. */
export const differenceItems = (differences) => differences.map(({ words }) => el("li", {}, words.map(([kind, text]) => {
  const [tag, name] = KINDS[kind] ?? [];
  return tag && text.trim() ? el(tag, {}, el("span", { class: "unseen" }, name, " "), text) : text;
})));

// Tables of the lead's pages.

import { el } from "./common.js";

/** A table; `heads` are pairs of a label and the class of its column. */
export function table(caption, heads, rows) {
  return el("table", {}, el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, heads.map(([label, kind]) => el("th", { scope: "col", class: kind }, label)))),
    el("tbody", {}, rows));
}

export const number = (text, marked) => el("td", { class: marked ? "number marked" : "number" }, text);

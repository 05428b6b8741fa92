// What all pages share: creating elements without HTML strings, calls to the server, messages and dialogs.

import { fromServer, locale, parts, t } from "./i18n.js";

/** Return an element. Strings become text nodes, never markup; `on` holds listeners, `data` data attributes. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

const WHILE_BUSY = [404, 408, 425, 429]; // what a proxy says while the server starts again, or is asked too often

/** An error response. `status` 0: the server was not reached; `code` "error": somebody else has answered, as a proxy. */
export class ServerError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether the error is transient (a retry may succeed). */
  get passing() {
    return this.status === 0 || this.status >= 500 || (this.code === "error" && WHILE_BUSY.includes(this.status));
  }
}

const LONGEST = 120_000; // ms that a request may take: a connection that hangs would leave the page busy for ever

/** Return the JSON of `path` (relative to the page); a `body` is posted. Throws ServerError. */
export async function call(path, body) {
  const options = body === undefined
    ? {}
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const signal = AbortSignal.timeout(LONGEST);
  const unreachable = () => new ServerError(0, "unreachable", signal.aborted ? t("The server did not answer in time.") : t("The server could not be reached."));
  const answer = await fetch(path, { credentials: "same-origin", redirect: "error", signal, ...options }).catch(() => { throw unreachable(); });
  const told = await answer.json().catch(() => null);
  if (answer.ok) {
    if (told) return told;
    if (answer.headers.get("Content-Type")?.includes("json")) throw unreachable(); // it was cut off
    throw new ServerError(401, "not_logged_in", t("Another page came instead of an answer: your login has probably ended."));
  }
  throw new ServerError(answer.status, told?.error ?? "error", told?.message ? fromServer(told.message) : t("The server responded with {status}.", answer));
}

/** Return a function that does the work, and nothing while it is still at it: a double click does it once. */
export function single(work) {
  let running = null;
  return (...given) => (running ??= work(...given).finally(() => { running = null; }));
}

/** Show a message in the page's live region. `kind`: "", "good" or "bad". */
export function say(text, kind = "") {
  const bar = byId("message");
  bar.textContent = text;
  bar.dataset.kind = kind;
  bar.hidden = !text;
}

/** Run a function that calls the server and show its errors. */
export async function trying(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message, "bad");
    if (error.status === 401) byId("message").append(...loginAdvice());
    return undefined;
  }
}

/** Ask in the page (Airflow's frame blocks confirm()); resolves to whether the answer was yes. */
export function confirmIn(title, text, yes) {
  return new Promise((resolve) => {
    const box = el("dialog", { class: "small", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
      el("h2", { id: "confirm-title" }, title),
      el("p", { id: "confirm-text" }, text),
      el("div", { class: "actions" },
        el("button", { type: "button", on: { click: () => box.close("no") } }, t("Cancel")),
        el("button", { type: "button", class: "primary", on: { click: () => box.close("yes") } }, yes)));
    box.addEventListener("close", () => { resolve(box.returnValue === "yes"); box.remove(); });
    document.body.append(box);
    box.showModal();
  });
}

/** The address of a question in the dataset browser. */
export const datasetLink = ({ lineage, query_id }) => `browser?${new URLSearchParams({ build: `~${lineage}`, query: query_id })}`;

/** A day for people, from a time in ISO 8601, or from a day: it is the same everywhere. */
export function day(at) {
  const zone = /^\d{4}-\d\d-\d\d$/.test(at) ? "UTC" : undefined;
  return new Date(at).toLocaleDateString(locale, { day: "numeric", month: "short", year: "numeric", timeZone: zone });
}

/** How to log in again: inside Airflow's iframe a link cannot leave the iframe. */
export function loginAdvice() {
  if (window.parent !== window) {
    return [el("p", {}, t("Log in again by reloading this browser page (F5), or in another tab. Then continue here."))];
  }
  const next = encodeURIComponent(window.location.href);
  const link = el("a", { href: `../auth/login?next=${next}` }, t("Log in again"));
  return [el("p", {}, parts("{link}, then come back to this page.", { link }))];
}

/** A batch's name for people: builds name theirs by the time of the run (2026-11-22T020000, UTC). */
export function batchName(id) {
  const time = /^(\d{4})-(\d\d)-(\d\d)T(\d\d)(\d\d)\d\d/.exec(id ?? "");
  if (!time) return id;
  const [year, month, day, hour, minute] = time.slice(1).map(Number);
  const when = new Date(Date.UTC(year, month - 1, day, hour, minute));
  return when.toLocaleString(locale, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** A batch's title with its name for people, or the name alone. */
export const titled = ({ id, title }) => (title ? `${title} (${batchName(id)})` : batchName(id));

/** A question whose expression ("V / (W − X)") stays on one line where there is room for it. */
export const unbroken = (text) => text.replace(/ ([+−×/÷=]) (?=[\w(])/g, "\u00a0$1\u00a0");

export const COMMENT = 500; // characters that the server stores of a comment

/** Show below a field how long its text is, now and after each change; call the result for the length. */
export function countCharacters(field, counter) {
  const length = () => {
    const many = [...field.value.trim()].length;
    counter.textContent = t("{n} of {most} characters", { n: count(many), most: COMMENT });
    return many;
  };
  field.addEventListener("input", length);
  length();
  return length;
}

/** Show how long a comment is below its field; call the result for what is wrong with it, or "". */
export function watchComment() {
  const length = countCharacters(byId("comment"), byId("comment-count"));
  return () => {
    const many = length();
    return many > COMMENT ? t("The comment has {n} characters; only {most} can be stored. Shorten it.", { n: count(many), most: COMMENT }) : "";
  };
}

export const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(0)} %`);
export const decimal = (number) => (number === null || number === undefined ? "–" : number.toFixed(2));
export const count = (number) => (number ?? 0).toLocaleString(locale);

/** A hop in words, as elements: what it finds, what it asks there and what it gets. */
export function hopWords(hop) {
  if (hop.unreadable) return el("span", {}, t("cannot be read: {why}", { why: hop.unreadable }));
  const about = [t("level {n}", { n: hop.level }), ...(hop.confirmed ? [hop.confirmed] : [])].join(" · ");
  return el("span", {}, hop.finds, " ", el("span", { class: "soft" }, about), el("br"),
    hop.asks ? [hop.asks, " ", el("b", {}, hop.gets ?? t("(no value)"))] : t("leads to the next hop"));
}

// One step of the desk at a time, and requests that are repeated until the server has taken them.

import { byId, el, loginAdvice, say, ServerError } from "../shared/common.js";
import { t } from "../shared/i18n.js";
import { notice } from "./page.js";

let running = false;
let current = Promise.resolve(); // the running step

/** Return what `request` resolves to; retry while the server is unreachable or the login has expired. */
export async function insist(request) {
  for (let tries = 0; ; tries += 1) {
    try {
      const told = await request();
      if (tries) say("");
      return told;
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (error.status === 401) await loggedIn();
      else if (error.passing) await tryAgain(error, Math.min(30, 2 ** tries));
      else throw error;
    }
  }
}

/** Resolve when the person confirms that they are logged in again. */
function loggedIn() {
  const box = byId("login-box");
  byId("login-advice").replaceChildren(...loginAdvice());
  return new Promise((resolve) => {
    box.addEventListener("close", resolve, { once: true });
    box.showModal();
  });
}

/** Resolve after `seconds`, or when the person clicks "Try now". */
function tryAgain(error, seconds) {
  say(`${error.message} ${t("Your answer is kept; retrying in {seconds} s.", { seconds })} `, "bad");
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    const now = el("button", { type: "button", on: { click: () => { clearTimeout(timer); resolve(); } } }, t("Try now"));
    byId("message").append(now);
  });
}

/** Whether a step is running. */
export const busy = () => running;

/** Run a step unless one is already running; show any error. */
export function once(step) {
  if (!running) current = run(step);
  return current;
}

/** Run a step after the running one has ended, so that pressing Undo is never lost. */
export const afterwards = (step) => current.then(() => once(step));

async function run(step) {
  running = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await step();
  } catch (error) {
    say(error.message, "bad");
    if (!(error instanceof ServerError)) throw error;
    if (["not_allowed", "voided"].includes(error.code)) notice(t("You cannot continue here"), error.message);
  } finally {
    running = false;
    document.body.removeAttribute("aria-busy");
  }
}

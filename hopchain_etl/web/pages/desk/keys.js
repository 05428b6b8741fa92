// The keys of the desk: letters are shortcuts outside of text fields, digits go to the answer field, arrows move the photo.

import { byId } from "../shared/common.js";
import { field, picture } from "./page.js";

const MOVES = { ArrowUp: [0, -0.2], ArrowDown: [0, 0.2], ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0] };

/** The key in lower case. Under Cyrillic, Greek, Hebrew and others it is the one of a Latin keyboard at the same place. */
function keyOf({ key, code }) {
  const foreign = /^\p{L}$/u.test(key) && !/\p{Script=Latin}/u.test(key);
  return (foreign && code.startsWith("Key") ? code.slice(3) : key).toLowerCase();
}

/** Listen to keys: `letters` maps a key to what it does, `on` says whether letters are shortcuts, `send` is Enter. */
export function listenToKeys(letters, on, send) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.repeat && !MOVES[event.key]) return;
    const inField = event.target === field;
    const typing = event.target.matches("input, textarea, select");
    const act = !typing && letters[keyOf(event)];
    if (act && (on() || event.key === "?")) {
      event.preventDefault();
      act();
    } else if (MOVES[event.key] && picture.zoomed && event.target.nodeName !== "SELECT" && (!inField || !field.value || ["ArrowUp", "ArrowDown"].includes(event.key))) {
      event.preventDefault();
      picture.pan(...MOVES[event.key]);
    } else if (inField && event.key === "Escape") {
      byId("question").focus({ preventScroll: true });
    } else if (/^[\d.-]$/.test(event.key) && !typing && !byId("desk").hidden) {
      field.focus(); // the character is then typed into the field
      field.setSelectionRange(field.value.length, field.value.length);
    } else if (event.key === "Enter" && [document.body, byId("question")].includes(event.target) && !byId("desk").hidden) {
      send();
    }
  });
}

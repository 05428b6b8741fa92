// The dialog of the lead's page, which asks for the values of some fields.

import { byId, el, single } from "../shared/common.js";

/** Ask for fields in a dialog; `send` gets their values; an error it throws is shown in the dialog.
 *
 * A field is `{name, label, hint, value, kind, choices}`, or `{name, row, read, start}` with elements of its own.
 */
export function ask(heading, button, fields, send) {
  byId("ask-heading").textContent = heading;
  byId("ask-send").textContent = button;
  byId("ask-problem").textContent = "";
  byId("ask-fields").replaceChildren(...fields.map(fieldRow));
  byId("ask-cancel").onclick = () => byId("ask-box").close();
  const submit = single(async () => {
    const values = Object.fromEntries(fields.map((one) => [one.name, one.read ? one.read() : byId(`ask-${one.name}`).value.trim()]));
    try {
      await send(values);
      byId("ask-box").close();
    } catch (error) {
      byId("ask-problem").textContent = error.message;
    }
  });
  byId("ask-form").onsubmit = (event) => { event.preventDefault(); submit(); };
  byId("ask-box").showModal();
  for (const one of fields) one.start?.();
}

function fieldRow({ name, label, hint, choices, value = "", kind = "text", row }) {
  if (row) return row;
  const id = `ask-${name}`;
  const described = hint ? `${id}-hint` : undefined;
  const input = choices
    ? el("select", { id, "aria-describedby": described }, choices.map(([code, text]) => el("option", { value: code, selected: code === value }, text)))
    : el("input", { id, type: kind, value, min: kind === "number" ? 1 : undefined, "aria-describedby": described, autocomplete: "off" });
  return el("div", { class: "row" }, el("label", { for: id }, label), input, hint && el("p", { class: "soft", id: described }, hint));
}

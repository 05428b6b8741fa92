// What a page owes to people who do not see well or do not use a mouse.
// Contrast after WCAG 2.2, success criteria 1.4.3 and 1.4.11, target size after 2.5.8, names after 1.1.1, 1.3.1 and 4.1.2.
(root) => {
  const found = [];
  const seen = (node) => node.checkVisibility({ visibilityProperty: true }) && node.getClientRects().length > 0;
  const tell = (node, what) => found.push(`${what}: ${node.outerHTML.slice(0, 120)}`);

  const named = (node) => {
    const by = (node.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean);
    const texts = [...by.map((id) => document.getElementById(id)?.textContent), node.getAttribute("aria-label"), node.alt,
      ...[...(node.labels ?? [])].map((label) => label.textContent),
      ["INPUT", "SELECT", "TEXTAREA"].includes(node.tagName) ? "" : node.textContent, node.title];
    return texts.some((text) => text && text.trim());
  };
  const controls = "a, button, input, select, textarea, progress, dialog[open], [role=group], [role=toolbar]";
  for (const node of document.querySelectorAll(controls)) if (seen(node) && !named(node)) tell(node, "has no name");
  for (const image of document.images) if (!image.hasAttribute("alt")) tell(image, "has no alt");
  for (const node of document.querySelectorAll("[tabindex]")) if (node.tabIndex > 0) tell(node, "breaks the tab order");
  for (const node of document.querySelectorAll("th")) if (!node.scope) tell(node, "has no scope");
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at))) found.push(`id twice: ${id}`);
  for (const name of ["aria-describedby", "aria-labelledby", "for"]) {
    for (const node of document.querySelectorAll(`[${name}]`)) {
      for (const id of node.getAttribute(name).split(/\s+/)) if (!ids.includes(id)) tell(node, `${name} leads nowhere`);
    }
  }
  if (!document.documentElement.lang) found.push("the page has no language");
  if (!document.title) found.push("the page has no title");
  const headings = [...document.querySelectorAll("h1")].filter(seen);
  if (headings.length !== 1) found.push(`${headings.length} visible h1`);

  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under, alpha = top.a) =>
    ({ r: top.r * alpha + under.r * (1 - alpha), g: top.g * alpha + under.g * (1 - alpha), b: top.b * alpha + under.b * (1 - alpha), a: 1 });
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const light = ({ r, g, b }) => {
    const line = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * line(r) + 0.7152 * line(g) + 0.0722 * line(b);
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body; // what lies under a dialog is inert
  let lowest = 99;
  for (const node of top.querySelectorAll("*")) {
    if (!seen(node) || node.closest(":disabled, .unseen, option, .loading")) continue;
    const style = getComputedStyle(node);
    const own = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim());
    if (own || ["INPUT", "SELECT", "TEXTAREA"].includes(node.tagName)) {
      let alpha = 1;
      for (let at = node; at; at = at.parentElement) alpha *= Number(getComputedStyle(at).opacity);
      const under = ground(node);
      const held = ratio(over(parse(style.color), under, alpha), under);
      lowest = Math.min(lowest, held);
      if (held < 4.5) tell(node, `text contrast ${held.toFixed(2)}`);
    }
    if (node.matches("input:not([type=radio], [type=checkbox]), select, textarea, button") && parseFloat(style.borderTopWidth)) {
      const edge = ratio(parse(style.borderTopColor), ground(node.parentElement));
      const fill = ratio(ground(node), ground(node.parentElement));
      if (Math.max(edge, fill) < 3 && !node.matches(".item")) tell(node, `edge contrast ${edge.toFixed(2)}`);
    }
    if (node.matches("button, select, input, .button, nav a")) {
      const box = node.getBoundingClientRect();
      if (Math.min(box.width, box.height) < 20) tell(node, `only ${box.width.toFixed(0)} x ${box.height.toFixed(0)} px`);
    }
  }
  return { found, lowest };
}

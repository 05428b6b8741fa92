// Follows Airflow's theme before the first paint, so it is a plain script and not a module.
// Airflow marks <html> with the class "dark" or "light" and keeps the choice in localStorage "theme".
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function airflowRoot() {
    try {
      return window.parent !== window ? window.parent.document.documentElement : null;
    } catch {
      return null; // embedded by another origin: its theme cannot be read
    }
  }

  function chosen() {
    const outer = airflowRoot();
    for (const name of ["dark", "light"]) {
      if (outer?.classList.contains(name)) return name;
    }
    try {
      const kept = window.localStorage.getItem("theme");
      if (kept === "dark" || kept === "light") return kept;
    } catch {
      // storage is blocked: use the system theme
    }
    return system.matches ? "dark" : "light";
  }

  const apply = () => { root.dataset.theme = chosen(); };
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  const outer = airflowRoot();
  if (outer) new MutationObserver(apply).observe(outer, { attributes: true, attributeFilter: ["class"] });
})();

// Before the first paint: what the reader chose, light or dark. Without a choice the system's counts.
(() => {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("trefoil-theme"); } catch { return null; } };
  if (kept()) root.dataset.theme = kept();
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme")?.addEventListener("click", () => {
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem("trefoil-theme", root.dataset.theme); } catch { /* private window */ }
      dispatchEvent(new Event("themechange"));
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
})();

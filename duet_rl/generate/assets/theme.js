// Light or dark: as the reader's system is, until the reader says otherwise (or #theme=dark does).

/** Set the theme of the whole document and tell who draws in its colours. */
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("themechange", { detail: theme }));
}

function switchTheme() {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
}

setTheme(
  new URLSearchParams(location.hash.slice(1)).get("theme") ??
    (window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
);

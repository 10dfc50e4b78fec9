// The links, the language and the reader of the Streamlit pages. Nothing of a book is in here.

// Streamlit follows the browser's own back and forward; a link of ours is the same.
function go(address) {
  history.pushState({}, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
  scrollTo(0, 0);
}

const PAGES = ["/books", "/system"];  // which are Streamlit's

// Of this app, and not a file; with a key held down the browser opens it elsewhere.
function isPage(link, event) {
  return link.origin === location.origin && !link.target && !link.hasAttribute("download")
    && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button);
}

async function onClick(event) {
  const chosen = event.target.closest("a[href], button[data-language]");
  if (!chosen) return;
  if (chosen.dataset.language) {
    document.cookie = `language=${chosen.dataset.language}; path=/; max-age=31536000; samesite=lax`;
    location.reload();
  } else if (chosen.href && isPage(chosen, event)) {
    if (![...PAGES, "/read"].includes(chosen.pathname)) return;
    event.preventDefault();
    event.stopPropagation();  // Streamlit would take the query out of the address that we leave
    if (chosen.pathname === "/read") {
      chosen.classList.add("open");
      (await overlay).openReader(chosen);
    } else {
      go(chosen.href);
    }
  }
}

async function onKey(event) {
  if (event.key === "Escape" && document.getElementById("bookbrain-reader")) {
    (await overlay).closeReader();
  } else if (event.key === "/" && !event.target.closest("input, textarea, select, [role='combobox']")) {
    location.assign("/");
  }
}

const frame = document.getElementById("bookbrain-frame");
document.documentElement.lang = frame.lang;
for (const link of frame.querySelectorAll(".row nav a")) {
  if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}
window.bookbrainDrops ??= import("/assets/drop.js").then((module) => module.takeDrops(go));
window.bookbrainWords ??= import("/assets/own_words.js")
  .then((module) => module.sayOwnWords(JSON.parse(frame.dataset.words)));
// A step between two addresses that have a "#" is none for Streamlit, if nothing else differs.
window.bookbrainActivity ??= import("/assets/activity.js").then((module) => module.watchActivity(frame.dataset));
const overlay = window.bookbrainOverlay ??= import("/assets/overlay.js").then((module) => {
  module.startOverlay(frame.dataset.reader, "#page");
  document.addEventListener("click", onClick, true);
  document.addEventListener("keydown", onKey, true);
  return module;
});

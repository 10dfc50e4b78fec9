// The keys, the links and the language of every page. Nothing of a book or a query is in here.

const hits = () => [...document.querySelectorAll("a.open")];
const box = () => document.querySelector(".stTextInput input");

// Streamlit follows the browser's own back and forward; a link of ours is the same.
function go(address) {
  history.pushState({}, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
  scrollTo(0, 0);
}

// Of this app, and not a file; with a key held down the browser opens it elsewhere.
function isPage(link, event) {
  return link.origin === location.origin && !link.target && !link.hasAttribute("download")
    && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button);
}

// While Streamlit draws the reader's page the picture for it is on its way.
function fetchPicture(event) {
  const chosen = event.target.closest("a[data-picture]");
  if (chosen) new Image().src = chosen.dataset.picture;
}

function onClick(event) {
  const chosen = event.target.closest("a[href], button[data-language], button[data-copy]");
  if (!chosen) return;
  if (chosen.dataset.language) {
    document.cookie = `language=${chosen.dataset.language}; path=/; max-age=31536000; samesite=lax`;
    location.reload();
  } else if (chosen.dataset.copy) {
    navigator.clipboard.writeText(decodeURIComponent(chosen.dataset.copy)).then(() => {
      chosen.textContent = chosen.dataset.done;
    });
  } else if (chosen.href && isPage(chosen, event)) {
    event.preventDefault();
    event.stopPropagation();  // Streamlit would take the query out of the address that we leave
    go(chosen.href);
  }
}

// Hangul is composed from the first letter to the next space. Streamlit waits for the end of that
// before it searches; it is not told of the beginning.
function onComposition(event) {
  if (event.target === box()) event.stopPropagation();
}

function onKey(event) {
  if (event.isComposing || event.metaKey || event.ctrlKey || event.altKey) return;
  const at = document.activeElement;
  const typing = at && at.matches("input, textarea, select, [role='combobox'], [role='slider']");
  if (event.key === "/" && !typing && box()) {
    event.preventDefault();
    box().focus();
    box().select();
  } else if (event.key === "Enter" && at && at === box()) {
    openFirst(box().value);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (typing && at !== box()) return;
    const links = hits();
    const next = links.indexOf(at) + (event.key === "ArrowDown" ? 1 : -1);
    if (!links.length || (!links.includes(at) && at !== box() && at !== document.body)) return;
    event.preventDefault();
    if (next < 0) box()?.focus();
    else links[Math.min(next, links.length - 1)].focus();
  }
}

// The hits of what is in the box now; who types fast presses Enter before they are there.
function openFirst(query, patience = 50) {
  const shown = document.querySelector(".hits")?.dataset.query;
  if (shown !== undefined && decodeURIComponent(shown) === query.trim() && hits().length) hits()[0].click();
  else if (patience) setTimeout(openFirst, 100, query, patience - 1);
}

document.documentElement.lang = document.getElementById("bookbrain-frame").lang;
if (!window.bookbrain) {
  window.bookbrain = true;
  document.addEventListener("pointerdown", fetchPicture, true);
  document.addEventListener("click", fetchPicture, true);
  document.addEventListener("click", onClick, true);
  document.addEventListener("compositionstart", onComposition, true);
  document.addEventListener("keydown", onKey, true);
}

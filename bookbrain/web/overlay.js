// The reader over a page, or beside it where there is room for both. It is a page of its own, in a
// frame; the address has it behind "#read?", and what is under it stays as it is.

const READ = "#read?";
/** @type {string | undefined} */
let last;  // the link that was opened last
let anchor = "";
let title = "";
let under = "";  // the title of the page that is under it

export const reader = () => /** @type {HTMLIFrameElement | null} */ (document.getElementById("bookbrain-reader"));

/**
 * @param {string} name what a screen reader calls it
 * @param {string} [below] what the address of the page under it ends in while the reader is open
 */
export function startOverlay(name, below = "") {
  [title, anchor] = [name, below];
  window.bookbrain = { closeReader };
  addEventListener("popstate", () => showReader());
  showReader();
}

/**
 * @param {HTMLAnchorElement} link
 * @param {{instead?: boolean, still?: boolean}} [how] `instead` of the page that is shown; `still`
 *   leaves the focus where it is
 */
export function openReader(link, { instead = false, still = false } = {}) {
  last = link.href;
  const page = location.pathname + location.search;
  const address = page + READ + new URL(link.href).searchParams;
  if (instead) {
    history.replaceState({ ...history.state, opened: link.href }, "", address);
  } else {
    history.replaceState({ ...history.state, opened: link.href }, "", page + anchor);
    history.pushState({ ...history.state, reader: true }, "", address);
  }
  showReader(still);
}

/** What the address says. @param {boolean} [still] */
export function showReader(still = false) {
  const place = location.hash.startsWith(READ) ? `/read?${location.hash.slice(READ.length)}` : "";
  document.documentElement.classList.toggle("reading", place !== "");
  const frame = reader();
  if (!place) {
    if (frame) remove(frame);
  } else if (!frame) {
    under = document.title;
    const made = document.createElement("iframe");
    made.id = "bookbrain-reader";
    made.title = title;
    made.src = place + (still ? "&still=1" : "");
    made.addEventListener("load", () => followTitle(made));
    document.body.append(made);
  } else if (frame.contentWindow?.bookbrain?.place !== place) {
    frame.contentWindow?.location.replace(place + (still ? "&still=1" : ""));
  }
  markOpened();
}

/** Which of the links that are there now is open. */
export function markOpened() {
  const href = reader() ? last ?? history.state?.opened : undefined;
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("a.open"))) {
    if (link.href === href) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

/** What the page under it is called: as the tab, while nothing is over it. @param {string} name */
export function callPage(name) {
  under = name;
  if (!reader()) document.title = name;
}

/** @param {HTMLIFrameElement} frame */
function remove(frame) {
  frame.remove();
  document.title = under;
  const all = /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll("a.open")]);
  const href = last ?? history.state?.opened;
  const link = all.find((one) => one.href === href);
  setTimeout(() => link?.focus({ preventScroll: true }));  // when the browser has left the frame
}

/** The tab is called as what is read in it. @param {HTMLIFrameElement} frame */
function followTitle(frame) {
  const head = frame.contentDocument?.head;
  if (!head) return;
  const follow = () => {
    if (frame.isConnected && frame.contentDocument) document.title = frame.contentDocument.title;
  };
  new MutationObserver(follow).observe(head, { subtree: true, childList: true, characterData: true });
  follow();
}

export function closeReader() {
  if (history.state?.reader) {
    history.back();
  } else {
    history.replaceState(history.state, "", location.pathname + location.search + anchor);
    showReader();
  }
}

// What Streamlit says by itself, in the words of the page: it knows English only. Its message that the
// server is away would lie over everything; the row above the page says so in its place.

const PARTS = ["stFileUploaderDropzone", "stPagination", "stDialog", "stProgress", "stSelectbox", "stSkipToContent"]
  .map((name) => `[data-testid="${name}"]`).join();
// Where we speak, and books are named; the label of the uploader's button is Streamlit's.
const OURS = ".stHtml, [data-testid='stFileChipName'], "
  + "[data-testid='stMarkdownContainer']:not([data-testid='stFileUploaderDropzone'] *)";
const AWAY = "Connection error";
const ATTRIBUTES = ["aria-label", "title", "placeholder"];
/** @typedef {[RegExp, string]} Said a sentence of Streamlit's, and ours, in which $1 is what the first brace stands for */

/** @param {Record<string, string>} words ours, by Streamlit's; names in braces stand for anything */
export function sayOwnWords(words) {
  const said = Object.entries(words).map(([theirs, ours]) => /** @type {Said} */ ([
    new RegExp(`^${theirs.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, "(.+)")}$`),
    ours.replace(/\{\w+\}/g, () => "$1"),
  ]));
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) for (const node of [target, ...addedNodes]) change(node, said);
    for (const dialog of document.querySelectorAll("[role=dialog]")) {
      if (dialog.textContent?.startsWith(AWAY)) dialog.querySelector("button")?.click();
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true, attributeFilter: ATTRIBUTES });
  change(document.body, said);
}

/** @param {Node} node @param {Said[]} said */
function change(node, said) {
  const walk = document.createTreeWalker(node, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let one = /** @type {Node | null} */ (node); one; one = walk.nextNode()) {
    const element = one instanceof Element ? one : one.parentElement;
    if (!element?.closest(PARTS) || element.closest(OURS)) continue;
    if (one instanceof Text) {
      const ours = owned(one.data, said);
      if (ours !== one.data) one.data = ours;
    } else {
      for (const name of ATTRIBUTES) {
        const theirs = element.getAttribute(name);
        if (theirs && owned(theirs, said) !== theirs) element.setAttribute(name, owned(theirs, said));
      }
    }
  }
}

/** @param {string} text @param {Said[]} said */
function owned(text, said) {
  const one = said.find(([theirs]) => theirs.test(text));
  return one ? text.replace(...one) : text;
}

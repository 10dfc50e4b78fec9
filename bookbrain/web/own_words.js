// What Streamlit says by itself, in the words of the page: it knows English only.

const PARTS = ["stFileUploader", "stPagination", "stDialog", "stToast", "stSelectbox", "stMenuButton"]
  .map((name) => `[data-testid="${name}"]`).join();
const OURS = ".stHtml, [data-testid='stMarkdownContainer'], [data-testid='stFileUploaderFileName']";  // books are named there
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

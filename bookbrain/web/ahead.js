// The pages that are likely to be opened next are fetched ahead: the server has them ready then, and
// the browser their pictures.

const WIDTHS = [800, 1200, 1800, 2400];  // of pictures, so that the browser keeps few of each page
const KEPT = "reader.width";
const MOST = 100;  // pages that are known to be fetched
/** @type {Set<string>} */
const known = new Set();
/** @type {string[]} */
let queue = [];
/** @type {AbortController | undefined} */
let under;

/**
 * Where a page's text and marks, and its picture, are asked for.
 * @param {{book: string, page: number, query: string, quote: string}} place
 */
export const sheetAddress = ({ book, page, query, quote }) =>
  `/api/book/${book}/${page}?${new URLSearchParams(quote ? { quote } : { q: query })}`;

/** @param {string} book @param {number} page @param {number} width */
export const pictureAddress = (book, page, width) => `/page/${book}/${page}.png?width=${width}`;

/** The width for a sheet that is so wide on the screen. @param {number} wanted */
const widthOf = (wanted) => WIDTHS.find((one) => one >= wanted) ?? WIDTHS[WIDTHS.length - 1];

/** The same in the reader, kept for what is fetched ahead. @param {number} wanted */
export function widthFor(wanted) {
  const width = widthOf(wanted);
  try {
    if (localStorage.getItem(KEPT) !== String(width)) localStorage.setItem(KEPT, String(width));
  } catch {
    // it is full, or not to be had: then the width is guessed
  }
  return width;
}

function keptWidth() {
  try {
    const width = Number(localStorage.getItem(KEPT));
    if (WIDTHS.includes(width)) return width;
  } catch {
    // as above
  }
  return widthOf(Math.min(innerWidth, innerHeight / Math.SQRT2) * devicePixelRatio);
}

/**
 * The pages of these links, one after the other and before those that wait; a link that is known, or
 * under way, is left out. Nothing where the visitor's browser is to save data.
 * @param {HTMLAnchorElement[]} links
 */
export function fetchAhead(links) {
  const { connection } = /** @type {{connection?: {saveData?: boolean}}} */ (navigator);
  if (connection?.saveData) return;
  const added = links.map((one) => one.href).filter((one) => !known.has(one));
  queue = [...added, ...queue.filter((one) => !added.includes(one))];
  if (!under) work();
}

export function stopAhead() {
  queue = [];
  under?.abort();
  under = undefined;
}

async function work() {
  const mine = under = new AbortController();
  for (let href = queue.shift(); href; href = queue.shift()) {
    if (known.size > MOST) known.clear();
    known.add(href);
    if (!await fetchPage(href, mine.signal)) known.delete(href);
    if (under !== mine) return;
  }
  under = undefined;
}

/** Whether all of it came. @param {string} href @param {AbortSignal} signal */
async function fetchPage(href, signal) {
  const asked = new URL(href).searchParams;
  const book = asked.get("book") ?? "", page = Number(asked.get("page")) || 1;
  const query = asked.get("find") ?? asked.get("q") ?? "", quote = asked.get("quote") ?? "";
  const wanted = [sheetAddress({ book, page, query, quote }), pictureAddress(book, page, keptWidth())];
  try {
    const answers = await Promise.all(wanted.map((one) => fetch(one, { signal, priority: "low" })));
    await Promise.all(answers.map((one) => one.blob()));
    return answers.every((one) => one.ok);
  } catch {
    return false;  // it was stopped, or the server is away
  }
}

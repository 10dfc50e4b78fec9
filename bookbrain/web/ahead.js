// The pages that are likely to be opened next are fetched ahead: the server has them ready then, and
// the browser their pictures.

const WIDTHS = [800, 1200, 1800, 2400];  // of pictures, so that the browser keeps few of each page
const KEPT = "reader.width";
const MOST = 100;  // pages that are known to be fetched
/** @type {Set<string>} */
const known = new Set();
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

/** The width for a sheet that is so wide on the screen, kept for what is fetched ahead. @param {number} wanted */
export function widthFor(wanted) {
  const width = WIDTHS.find((one) => one >= wanted) ?? WIDTHS[WIDTHS.length - 1];
  if (localStorage.getItem(KEPT) !== String(width)) localStorage.setItem(KEPT, String(width));
  return width;
}

/** One page after the other, until somebody asks for other ones. @param {HTMLAnchorElement[]} links */
export async function fetchAhead(links) {
  stopAhead();
  const { signal } = under = new AbortController();
  const width = Number(localStorage.getItem(KEPT)) || widthFor(Math.min(innerWidth, innerHeight / Math.SQRT2) * devicePixelRatio);
  for (const { href } of links) {
    if (known.has(href)) continue;
    const asked = new URL(href).searchParams;
    const book = asked.get("book") ?? "", page = Number(asked.get("page")) || 1;
    const query = asked.get("find") ?? asked.get("q") ?? "", quote = asked.get("quote") ?? "";
    const wanted = [sheetAddress({ book, page, query, quote }), pictureAddress(book, page, width)];
    try {
      await Promise.all(wanted.map(async (one) => (await fetch(one, { signal, priority: "low" })).blob()));
    } catch {
      return;  // it was stopped, or the server is away
    }
    if (known.size > MOST) known.clear();
    known.add(href);
  }
}

export function stopAhead() {
  under?.abort();
}

// What stands beside the page: the outline, and the pages as small pictures.

/** @typedef {import("./reader.js").Book} Book */

const SMALL = 120;  // pixels across a picture, on screens with two for one
const DEEPEST = 4;
const NUMBERED = /^[\dA-Z]{1,3}((?:\.\d+)+)/;

/**
 * The chapters, as deep as their numbers say, each with its page and how many of its pages match.
 * @param {Book} book
 * @param {(page: number) => HTMLAnchorElement} linkTo
 */
export function outlineOf(book, linkTo) {
  return book.chapters.map(([title, page], index) => {
    const link = linkTo(page);
    const level = NUMBERED.exec(title)?.[1].split(".").length ?? 1;
    link.style.setProperty("--level", String(Math.min(level, DEEPEST) - 1));
    const end = Math.max(book.chapters[index + 1]?.[1] ?? Infinity, page + 1);
    const found = book.matches.filter((one) => page <= one && one < end).length;
    const where = document.createElement("span");
    where.textContent = book.labels[page - 1] || String(page);
    link.append(title, ...(found ? [badge(found)] : []), where);
    return link;
  });
}

/** @param {number} found */
function badge(found) {
  const mark = document.createElement("b");
  mark.textContent = String(found);
  return mark;
}

/**
 * A picture of each page, which is fetched when it comes into view.
 * @param {Book} book
 * @param {number} ratio height to width
 * @param {(page: number) => HTMLAnchorElement} linkTo
 */
export function picturesOf(book, ratio, linkTo) {
  return Array.from({ length: book.pages }, (_, index) => {
    const link = linkTo(index + 1);
    const picture = document.createElement("img");
    picture.alt = "";
    picture.loading = "lazy";
    [picture.width, picture.height] = [SMALL / 2, Math.round(SMALL / 2 * ratio)];
    picture.src = `/page/${book.id}/${index + 1}.png?width=${SMALL}`;
    const where = document.createElement("span");
    where.textContent = book.labels[index] || String(index + 1);
    link.append(picture, where);
    if (book.matches.includes(index + 1)) link.classList.add("matches");
    return link;
  });
}

// The reader: turns pages, marks what was searched for, and lays the text over the picture. Texts of
// books get into the page as text only.

import { pictureAddress, sheetAddress, widthFor } from "./ahead.js";
import { outlineOf, picturesOf } from "./beside.js";
import { keepReading } from "./reading.js";

/**
 * A stretch of a page's text and where it stands: start, end, left, top, right, bottom; the sides
 * are shares of the page's.
 * @typedef {[number, number, number, number, number, number]} Place
 * @typedef {{number: number, label: string, place: string, chapter: number | null, text: string,
 *   size: [number, number], remarks: string[], words: Place[], marks: Place[]}} Sheet
 * @typedef {{id: string, title: string, pages: number, chapters: [string, number, number][],
 *   labels: string[], matches: number[]}} Book
 */

const PHONE = "(max-width: 700px)";  // as in reader.css
const NARROW = "(max-width: 900px)";  // where the title needs the room
const LONGEST = 2000;  // characters of a query in an address
const LEAFING = 1000;  // ms between two turns of who leafs
const REST = 90;  // ms without a turn after which a page is fetched that is not there yet
const LISTED = / {2}$/gm;  // how the server tells a line of a listing

/** @type {Record<string, string>} */
const texts = JSON.parse(document.body.dataset.texts ?? "{}");
const params = new URLSearchParams(location.search);
const bookId = params.get("book") ?? "";
const query = (params.get("find") ?? params.get("q") ?? "").slice(0, LONGEST);
const quote = (params.get("quote") ?? "").slice(0, LONGEST);  // marked in place of the query

// Over or beside the hits: frame.js has put it there.
const framed = parent !== window && parent.location.origin === location.origin;
/** What frame.js may know: the place that is shown. */
window.bookbrain = { place: location.pathname + location.search };

/** @type {Book | undefined} */
let book;
let number = Math.max(1, Number(params.get("page")) || 1);
let meant = !params.has("still");  // it was opened to be read, and did not come by itself
let mark = 0;  // the mark of this page that is the present one
let zoom = localStorage.getItem("reader.zoom") ?? (matchMedia(PHONE).matches ? "width" : "whole");
let ratio = Math.SQRT2;  // of the page shown last: height to width
let turned = -Infinity;  // when the last page was turned
let timer = 0;
/** @type {Map<number, Promise<Sheet>>} */
const sheets = new Map();

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const picture = /** @type {HTMLImageElement} */ (at("picture"));
const field = /** @type {HTMLInputElement} */ (at("number"));

/** @param {string} text @param {Record<string, string | number>} values */
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

/**
 * What the server says; a server that is away is asked again.
 * @param {string} address
 */
async function ask(address) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
    let away = texts.gone;
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      if (answer.status === 401) away = texts.out;
      const said = await answer.json();
      if (![401, 502, 503, 504].includes(answer.status)) {
        if ([texts.gone, texts.out].includes(at("remark").textContent ?? "")) remark("");
        if (!answer.ok) throw new Refused(`${said.error} ${said.hint}`);
        return said;
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    remark(away, true);
    await new Promise((done) => setTimeout(done, wait));
  }
}

class Refused extends Error {}

/** @param {string} text @param {boolean} [bad] */
function remark(text, bad = false) {
  at("remark").textContent = text;
  at("remark").classList.toggle("bad", bad);
}

/** @param {number} page @returns {Promise<Sheet>} */
function sheetOf(page) {
  let sheet = sheets.get(page);
  if (!sheet) {
    sheet = ask(sheetAddress({ book: bookId, page, query, quote }));
    sheets.set(page, sheet);
    sheet.catch(() => sheets.delete(page));
    if (sheets.size > 60) sheets.delete([...sheets.keys()][0]);
  }
  return sheet;
}

/** @param {number} page */
function pictureOf(page) {
  return pictureAddress(bookId, page, widthFor(at("sheet").clientWidth * devicePixelRatio));
}

// Moves

/**
 * Turn to a page at once; its picture and its text come when they are there.
 * @param {number} page
 * @param {"first" | "last"} [which] of its marks is the present one
 * @param {boolean} [known] to the browser's history
 */
function turn(page, which = "first", known = false) {
  const last = book?.pages ?? Infinity;
  page = Math.min(Math.max(page, 1), last);
  if (page === number && sheets.size && !known) return;
  meant = true;
  number = page;
  mark = which === "first" ? 0 : Infinity;
  const now = performance.now();
  if (!known) tellAddress(now - turned < LEAFING);
  turned = now;
  tellPlace();
  const ready = fetched.has(pictureOf(page));
  if (!ready) blank();
  clearTimeout(timer);
  timer = setTimeout(show, ready ? 0 : REST, page);
}

/**
 * Who leafs makes one step in the history, not one for each page. Over the hits none: the step there
 * is that between them and the reader.
 * @param {boolean} leafs
 */
function tellAddress(leafs) {
  const place = new URLSearchParams({ book: bookId, page: String(number) });
  if (query) place.set("find", query);
  if (quote) place.set("quote", quote);
  window.bookbrain.place = `/read?${place}`;
  history[leafs || framed ? "replaceState" : "pushState"]({}, "", window.bookbrain.place);
  if (framed) {
    const { pathname, search } = parent.location;
    parent.history.replaceState(parent.history.state, "", `${pathname}${search}#read?${place}`);
  }
}

/** The pictures that the browser has. @type {Set<string>} */
const fetched = new Set();

function blank() {
  picture.removeAttribute("src");
  at("text").replaceChildren();
  at("marks").replaceChildren();
}

/** @param {number} page */
async function show(page) {
  const address = pictureOf(page);
  if (picture.getAttribute("src") !== address) {
    at("text").replaceChildren();
    at("marks").replaceChildren();
    picture.src = address;
  }
  at("view").scrollTo(0, 0);
  try {
    const sheet = await sheetOf(page);
    if (page !== number) return;
    ratio = sheet.size[1] / sheet.size[0];
    lay();
    if (picture.getAttribute("src") !== pictureOf(page)) picture.src = pictureOf(page);
    draw(sheet);
    await picture.decode().catch(() => undefined);
  } catch (error) {
    if (page === number) remark(String(error instanceof Refused ? error.message : error), true);
    return;
  }
  fetched.add(address);
  if (page === number && meant) keepReading(bookId, page);
  performance.mark(`page ${page}`);
  if (page === number) fetchNeighbours(page);
}

/** After the page itself: the next, the one before, the next match. @param {number} page */
async function fetchNeighbours(page) {
  const next = book?.matches.find((one) => one > page) ?? 0;
  for (const one of new Set([page + 1, page - 1, next])) {
    if (one < 1 || one > (book?.pages ?? 0) || page !== number) continue;
    const image = new Image();
    image.src = pictureOf(one);
    await image.decode().then(() => fetched.add(pictureOf(one)), () => undefined);
    await sheetOf(one).catch(() => undefined);
  }
}

/** The next or the last mark: on this page, else on the next page that matches. @param {1 | -1} step */
async function step(step) {
  const [sheet] = await Promise.all([sheetOf(number), known]);
  const places = starts(sheet);
  const next = Math.min(mark, places.length - 1) + step;
  if (next >= 0 && next < places.length) {
    mark = next;
    draw(sheet);
    return;
  }
  const pages = book?.matches ?? [];
  const page = step > 0 ? pages.find((one) => one > number) : pages.filter((one) => one < number).pop();
  if (page) turn(page, step > 0 ? "first" : "last");
}

/** Where the marks of a page that matches begin, each once. @param {Sheet} sheet */
function starts(sheet) {
  return book?.matches.includes(sheet.number) ? [...new Set(sheet.marks.map((one) => one[0]))] : [];
}

// What is shown

function tellPlace() {
  const pages = book?.pages ?? 0;
  const label = book?.labels[number - 1];
  field.value = label || String(number);
  const own = label && label !== String(number);
  at("of").textContent = pages ? (own ? `(${number}/${pages})` : filled(texts.of, { pages })) : "";
  /** @type {HTMLButtonElement} */ (at("previous")).disabled = number <= 1;
  /** @type {HTMLButtonElement} */ (at("next")).disabled = number >= pages;
  document.title = [field.value, book?.title, "BookBrain"].filter(Boolean).join(" · ");
  tellChapter((book?.chapters ?? []).findLastIndex((one) => one[1] <= number));
  /** @type {HTMLAnchorElement} */ (at("pdf")).href = `/book/${bookId}.pdf#page=${number}`;
  const similar = new URLSearchParams({ similar: `${bookId}:${number}` });
  /** @type {HTMLAnchorElement} */ (at("similar")).href = `/?${similar}`;
}

/** @param {number} index */
function tellChapter(index) {
  at("where").textContent = book?.chapters[index]?.[0] ?? "";
  tellPresent("outline", index);
  tellPresent("thumbs", number - 1);
}

/** Of those in a list beside the page. @param {string} name @param {number} index */
function tellPresent(name, index) {
  for (const [place, link] of [...at(name).children].entries()) {
    if (place === index) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  at(name).querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

/** Gives the page its size before its picture is there. */
function lay() {
  const view = at("view");
  const style = getComputedStyle(view);
  const across = view.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const down = view.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const share = Number(zoom);
  let width = zoom === "whole" ? Math.min(across, down / ratio) : zoom === "width" ? across : across * share;
  width = Math.max(120, Math.floor(width));
  at("sheet").style.width = `${width}px`;
  at("sheet").style.height = `${Math.floor(width * ratio)}px`;
  for (const name of ["width", "whole"]) at(name).setAttribute("aria-pressed", String(zoom === name));
}

/** Marks and text over the picture. @param {Sheet} sheet */
function draw(sheet) {
  const label = filled(texts.sheet, { number: sheet.label || sheet.number, title: book?.title ?? "" });
  picture.alt = label;
  at("view").setAttribute("aria-label", label);
  shown = sheet;
  tellChapter(sheet.chapter ?? -1);
  remark(sheet.remarks.join(" "));
  const places = starts(sheet);
  mark = Math.min(Math.max(mark, 0), Math.max(places.length - 1, 0));
  at("marks").replaceChildren(...sheet.marks.map((one) => {
    const box = document.createElement("i");
    place(box, one);
    if (one[0] === places[mark]) box.className = "now";
    return box;
  }));
  const count = places.length
    ? filled(texts.match, { number: mark + 1, all: places.length })
    : filled(texts.pages, { pages: book?.matches.length ?? 0 });
  const short = places.length ? `${mark + 1}/${places.length}` : String(book?.matches.length ?? 0);
  at("count").textContent = matchMedia(NARROW).matches ? short : count;
  at("count").title = count;
  at("marks").querySelector(".now")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  layText(sheet);
}

/** @param {HTMLElement} box @param {Place} one */
function place(box, [, , left, top, right, bottom]) {
  box.style.left = `${100 * left}%`;
  box.style.top = `${100 * top}%`;
  box.style.width = `${100 * (right - left)}%`;
  box.style.height = `${100 * (bottom - top)}%`;
}

const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));

/**
 * The text of a page, a paragraph for each run of words on a line, so that phrases are found too.
 * Each word is as wide as it is printed: its letters are set so far apart.
 * @param {Sheet} sheet
 */
function layText(sheet) {
  const { width, height } = at("sheet").getBoundingClientRect();
  /** @type {Place[][]} */
  const lines = [];
  for (const word of sheet.words) {
    if (word[0] === lines.at(-1)?.at(-1)?.[0]) continue;  // what is left of a word on the next line
    const line = lines[lines.length - 1];
    const before = line?.[line.length - 1];
    if (before && isBeside(before, word, sheet.text)) line.push(word);
    else lines.push([word]);
  }
  at("text").replaceChildren(...lines.map((line) => {
    const top = Math.min(...line.map((one) => one[3]));
    const bottom = Math.max(...line.map((one) => one[5]));
    const size = Math.max(1, 0.8 * (bottom - top) * height);
    pen.font = `${size}px sans-serif`;
    const paragraph = document.createElement("p");
    paragraph.style.cssText = `left:${100 * line[0][2]}%;top:${100 * top}%;`
      + `font-size:${size}px;line-height:${(bottom - top) * height}px`;
    let end = line[0][2];
    line.forEach((word, index) => {
      const [from, to, left, , right] = word;
      if (index) paragraph.append(stretch(" ", from - 1, (left - end) * width));
      paragraph.append(stretch(sheet.text.slice(from, to), from, (right - left) * width));
      end = right;
    });
    return paragraph;
  }));
}

/** @param {Place} one @param {Place} other @param {string} text */
function isBeside(one, other, text) {
  if (other[0] <= one[0] || text.slice(one[1], other[0]).includes("\n") || other[2] < one[4]) return false;
  const shared = Math.min(one[5], other[5]) - Math.max(one[3], other[3]);
  return shared > Math.min(one[5] - one[3], other[5] - other[3]) / 2;
}

/** A piece of the text from `start` on, as wide as `width` pixels. */
function stretch(/** @type {string} */ text, /** @type {number} */ start, /** @type {number} */ width) {
  const span = document.createElement("span");
  span.textContent = text;
  span.dataset.start = String(start);
  const own = pen.measureText(text).width;
  span.style.letterSpacing = `${(width - own) / [...text].length}px`;
  return span;
}

/** What is selected is copied as it stands in the page's text, code with its columns. @param {ClipboardEvent} event */
async function copy(event) {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || !at("text").contains(selection.anchorNode)) return;
  const sheet = shown;
  const range = selection.getRangeAt(0);
  const spans = [...at("text").querySelectorAll("span")].filter((one) => range.intersectsNode(one));
  if (!sheet || !spans.length) return;
  const first = spans[0], last = spans[spans.length - 1];
  const from = Number(first.dataset.start) + (first.contains(range.startContainer) ? range.startOffset : 0);
  const inLast = last.contains(range.endContainer) ? range.endOffset : last.textContent.length;
  let text = sheet.text.slice(from, Number(last.dataset.start) + inLast);
  if (spans.length > 1) {  // a line of code begins at its margin
    const start = sheet.text.lastIndexOf("\n", from - 1) + 1;
    if (!sheet.text.slice(start, from).trim()) text = sheet.text.slice(start, from) + text;
  }
  event.clipboardData?.setData("text/plain", text.replace(LISTED, ""));
  event.preventDefault();
}

/** @type {Sheet | undefined} */
let shown;

// Keys, buttons, fingers

/** @type {Record<string, () => unknown>} */
const DO = {
  previous: () => turn(number - 1),
  next: () => turn(number + 1),
  before: () => step(-1),
  after: () => step(1),
  closer: () => resize(1.25),
  farther: () => resize(0.8),
  width: () => fit("width"),
  whole: () => fit("whole"),
  dark: () => darken(!document.body.classList.contains("dark")),
  contents: () => openBeside("contents"),
  pictures: () => openBeside("pictures"),
};

/** What each of the two buttons opens; one closes the other. @type {Record<string, string>} */
const BESIDE = { contents: "outline", pictures: "thumbs" };

/** @param {string} chosen */
function openBeside(chosen) {
  for (const [button, name] of Object.entries(BESIDE)) {
    at(name).hidden = button !== chosen || !at(name).hidden;
    at(button).setAttribute("aria-expanded", String(!at(name).hidden));
  }
  if (book && !at("thumbs").childElementCount) at("thumbs").append(...picturesOf(book, ratio, linkTo));
  tellPlace();
  resized();
}

/** Within this book. @param {number} page */
function linkTo(page) {
  const link = document.createElement("a");
  link.href = `?${new URLSearchParams({ book: bookId, page: String(page), find: query })}`;
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    turn(page);
    at("view").focus();
  });
  return link;
}

/** By the place of a key, so that they work with a Hangul keyboard. @type {Record<string, string>} */
const KEYS = {
  ArrowLeft: "previous", ArrowRight: "next", KeyN: "after", KeyP: "before",
  Equal: "closer", NumpadAdd: "closer", Minus: "farther", NumpadSubtract: "farther",
  KeyW: "width", KeyF: "whole", KeyD: "dark", KeyO: "contents", KeyT: "pictures",
};

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.metaKey || event.ctrlKey || event.altKey || event.target === field) return;
  if (event.key === "Escape" && framed) parent.bookbrain.closeReader();
  let name = KEYS[event.code];
  if (!name) return;
  if (event.shiftKey && event.code === "KeyN") name = "before";
  event.preventDefault();
  DO[name]();
}

/** @param {string} how */
function fit(how) {
  zoom = how;
  localStorage.setItem("reader.zoom", zoom);
  resized();
}

/** @param {number} times */
function resize(times) {
  const share = at("sheet").clientWidth / at("view").clientWidth;
  fit(String(Math.min(Math.max(share * times, 0.2), 4)));
}

function resized() {
  lay();
  if (picture.getAttribute("src") && picture.getAttribute("src") !== pictureOf(number)) {
    picture.src = pictureOf(number);
  }
  if (shown) layText(shown);
}

/** @param {boolean} on */
function darken(on) {
  document.body.classList.toggle("dark", on);
  at("dark").setAttribute("aria-pressed", String(on));
  localStorage.setItem("reader.dark", on ? "1" : "0");
}

/** To a printed number, else to that page of the file. */
function jump() {
  const typed = field.value.trim();
  const printed = (book?.labels ?? []).indexOf(typed);
  const page = printed >= 0 ? printed + 1 : Number(typed);
  if (Number.isInteger(page) && page >= 1) turn(page);
  tellPlace();
  at("view").focus();
}

let touched = 0;

for (const name of Object.keys(DO)) {
  at(name).addEventListener("click", () => DO[name]());
  at(name).title = texts[name];
  at(name).setAttribute("aria-label", texts[name]);
}
for (const name of ["search", "similar", "pdf"]) {
  at(name).title = texts[name];
  at(name).setAttribute("aria-label", texts[name]);
}
at("page").textContent = texts.page;
/** @type {HTMLAnchorElement} */ (at("search")).href = query ? `/?${new URLSearchParams({ q: query })}` : "/";
if (framed) {
  at("search").addEventListener("click", (event) => {
    event.preventDefault();
    parent.bookbrain.closeReader();
  });
  /** @type {HTMLAnchorElement} */ (at("similar")).target = "_parent";
}
field.addEventListener("change", jump);
field.addEventListener("focus", () => field.select());
document.addEventListener("keydown", onKey);
document.addEventListener("copy", copy);
addEventListener("popstate", () => {
  const page = Number(new URLSearchParams(location.search).get("page")) || 1;
  turn(page, "first", true);
});
new ResizeObserver(resized).observe(at("view"));
at("view").addEventListener("touchstart", (event) => {
  touched = event.touches.length === 1 ? event.touches[0].clientX : NaN;
}, { passive: true });
at("view").addEventListener("touchend", (event) => {
  const moved = event.changedTouches[0].clientX - touched;
  const view = at("view");
  if (Math.abs(moved) > 60 && view.scrollWidth <= view.clientWidth + 1 && getSelection()?.isCollapsed) {
    DO[moved < 0 ? "next" : "previous"]();
  }
}, { passive: true });
const dark = localStorage.getItem("reader.dark");
darken(dark ? dark === "1" : matchMedia("(prefers-color-scheme: dark)").matches);

lay();
show(number);
const known = ask(`/api/book/${bookId}?${new URLSearchParams({ q: query })}`);
try {
  book = /** @type {Book} */ (await known);
  at("title").textContent = book.title;
  at("matching").hidden = !query.trim();
  at("outline").replaceChildren(...outlineOf(book, linkTo));
  if (number > book.pages) turn(book.pages);
  tellPlace();
  if (shown) draw(shown);
  if (!params.has("still")) at("view").focus();
  if (picture.complete) fetchNeighbours(number);
} catch (error) {
  remark(String(error instanceof Refused ? error.message : error), true);
}

// The search page: asks while one types, keeps the question in the address and in the history.

import { fetchAhead, stopAhead } from "./ahead.js";
import { at, coded, filled, make, texts, tongue } from "./element.js";
import { FACETS, choices, narrowed, turned, wanted } from "./facets.js";
import { listOf } from "./hits.js";
import * as kept from "./kept.js";
import { callPage, closeReader, markOpened, openReader, reader, showReader, startOverlay } from "./overlay.js";
import { FIRST, addressOf, asks, booksCalled, filters, isId, nothing, prefixOf, readQuestion, requestOf } from "./question.js";
import { startRow } from "./row.js";

/**
 * @typedef {import("./question.js").Question} Question
 * @typedef {import("./question.js").Book} Book
 * @typedef {import("./facets.js").Facet} Facet
 * @typedef {import("./facets.js").Hit} Hit
 * @typedef {import("./facets.js").Result} Result
 * @typedef {{books: number, by_meaning: boolean, weight: number, examples: {query: string, title: string}[]}} Start
 */

const PAUSE = 100;  // ms after a key
const REST = 1000;  // ms after which a question is a step in the history
const CALM = 300;  // ms after the first hits, when all that are to be grouped are asked for
const IDLE = 1200;  // ms after which covers are fetched
const AHEAD = 250;  // ms after which the pages of the first hits are fetched
const MOST_AHEAD = 3;
const POINTED = 60;  // ms that a hit is pointed at, before its page is fetched
const SLOW = 150;  // ms after which one is told that it takes time
const LONGEST = 60_000;  // characters of an address that the server takes
const MOST_KEPT = 30;  // results
const FRESH = 60_000;  // ms; a result that is older, or says that meaning is missing, is asked for again
const MOST_CHOICES = 8;  // of a facet, before one asks for more
const BESIDE = matchMedia("(min-width: 1100px)");  // as in search.css

const box = /** @type {HTMLInputElement} */ (at("box"));
/** @type {Question} */
let question = readQuestion(location.search);
/** @type {Start | undefined} */
let start;
/** @type {Book[]} */
let books = [];
/** @type {Map<string, Result & {came: number}>} */
const results = new Map();
/** @type {AbortController | undefined} */
let under;
let shown = "";  // the request whose hits are shown
let settled = true;  // the address that is shown is a step of its own
let arrived = true;  // by an address, and not by a key
let placing = true;  // the place of this step in the history is not taken yet
let wantsFirst = false;  // Enter came before the hits
let unnamed = false;  // a title was asked for that no hit says
/** @type {Record<string, number>} */
const timers = {};

/** @param {string} name @param {number} wait @param {() => unknown} work */
function later(name, wait, work) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(work, wait);
}

// What is asked

/** @param {Question} next @param {{step?: boolean, wait?: number}} [how] `step`: it is one in the history at once */
function change(next, { step = true, wait = 0 } = {}) {
  question = next;
  wantsFirst = false;
  const address = addressOf(question) + location.hash;
  if (step || settled) {
    keepPlace();
    history.pushState({}, "", address);
  } else {
    history.replaceState({}, "", address);
  }
  settled = step;
  placing = true;
  later("step", REST, settle);
  document.body.classList.add("asking");
  clearTimeout(timers.ahead);
  clearTimeout(timers.pointed);
  stopAhead();
  clearTimeout(timers.whole);
  later("ask", wait, ask);
  tell();
}

/** What is asked now is meant so. */
function settle() {
  settled = true;
  if (asks(question)) kept.remember(question.query);
}

/** Shows the answer, from memory where it is there. */
async function ask() {
  if (question.books.some((one) => !isId(one))) await nameBooks();
  const key = requestOf(question).toString();
  under?.abort();
  clearTimeout(timers.whole);
  if (!asks(question)) {
    trouble("");
    await begin();
    return done();
  }
  const known = results.get(key);
  const whole = known && !known.partly;
  if (whole) show(known, key);
  if (whole && !known.remark && performance.now() - known.came < FRESH) return;
  if (key.length > LONGEST) {
    trouble(texts.long);
    return refused();
  }
  const mine = under = new AbortController();
  if (whole) return askAll(key, mine, []);
  document.body.classList.add("asking");
  later("slow", SLOW, () => { at("busy").hidden = false; });
  if (filters(question) || history.state?.y) return askAll(key, mine, []);
  const first = await found(requestOf(question, FIRST), mine);
  if (!first) return;
  keepResult(key, { ...first, partly: first.hits.length > 0 });
  if (first.hits.length) later("whole", CALM, () => askAll(key, mine, first.hits));
}

/** All hits, behind those that are shown: nothing moves. @param {string} key @param {AbortController} mine @param {Hit[]} first */
async function askAll(key, mine, first) {
  const all = await found(new URLSearchParams(key), mine);
  if (!all) return;
  const places = new Set(first.map((one) => one.book + one.page));
  const hits = [...first, ...all.hits.filter((one) => !places.has(one.book + one.page))];
  if (first.length) keepPlace();
  keepResult(key, { ...all, hits });
}

/** @param {URLSearchParams} asked @param {AbortController} mine @returns {Promise<Result | undefined>} */
async function found(asked, mine) {
  const answer = await fetched(`/api/search?view=page&${asked}`, mine.signal);
  return under === mine ? answer : undefined;
}

/** @param {string} key @param {Result} result */
function keepResult(key, result) {
  if (results.size >= MOST_KEPT) results.delete([...results.keys()][0]);
  results.set(key, { ...result, came: performance.now() });
  show(result, key);
}

/**
 * What the server says; one that is away is asked again until it answers or `signal` says stop. What
 * it refuses is told, and undefined.
 * @param {string} address
 * @param {AbortSignal} [signal]
 */
async function fetched(address, signal) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
    let said = texts.gone;
    try {
      const answer = await fetch(address, { signal, headers: { Accept: "application/json" } });
      if (answer.status === 401) said = texts.out;
      else if (![502, 503, 504].includes(answer.status)) {
        const told = await answer.json();
        if (answer.ok) {
          if ([texts.gone, texts.out].includes(at("trouble").textContent ?? "")) trouble("");
          return told;
        }
        trouble(`${told.error} ${told.hint}`);
        if (signal) refused();
        return undefined;
      }
    } catch (error) {
      if (signal?.aborted) return undefined;
    }
    trouble(said);
    done();
    await new Promise((woken) => setTimeout(woken, wait));
    if (signal?.aborted) return undefined;
  }
}

/** There is no answer: old hits are not to be taken for one. */
function refused() {
  shown = "";
  wantsFirst = false;
  for (const part of ["list", "notes", "summary", "narrow"]) at(part).replaceChildren();
  done();
}

function done() {
  clearTimeout(timers.slow);
  at("busy").hidden = true;
  document.body.classList.remove("asking");
}

/** @param {string} text */
function trouble(text) {
  if (at("trouble").textContent !== text) at("trouble").textContent = text;
}

/** What books are called: for old addresses, and to choose one that was not found. */
async function nameBooks() {
  if (!books.length) books = /** @type {Book[]} */ (await fetched("/api/books")) ?? [];
  if (question.books.every(isId)) return;
  question = { ...question, books: booksCalled(question.books, books) };
  history.replaceState(history.state, "", addressOf(question) + location.hash);
}

// What is shown

/** @param {Result} result @param {string} key */
function show(result, key) {
  trouble("");
  done();
  const hits = narrowed(question, result.hits);
  const focused = /** @type {HTMLAnchorElement | null} */ (document.activeElement?.closest("a.open"))?.href;
  at("notes").replaceChildren(...notesOf(result));
  redraw("summary", hits.length ? summaryOf(hits.length, result) : []);
  showList(hits.length ? listOf(hits, question) : nothingOf());
  if (!result.partly) showFacets(result);
  const again = shown === key;
  shown = key;
  performance.mark("hits", { detail: question.query });
  later("covers", IDLE, showCovers);
  later("ahead", AHEAD, () => { if (!reader()) fetchAhead(links().slice(0, MOST_AHEAD)); });
  restore(again);
  if (focused) links().find((one) => one.href === focused)?.focus({ preventScroll: true });
  markOpened();
  if (wantsFirst && hits.length) links()[0].click();
  wantsFirst = false;
}

/** Hits that are there already stay as they are, for whoever clicks one or selects its text. @param {HTMLElement} list */
function showList(list) {
  const before = at("list").firstElementChild;
  if (!before || !before.cloneNode().isEqualNode(list.cloneNode())) return at("list").replaceChildren(list);
  const items = [...list.children];
  items.forEach((item, index) => {
    const old = before.children[index];
    if (!old) before.append(item);
    else if (!old.isEqualNode(item)) old.replaceWith(item);
  });
  while (before.children.length > items.length) before.lastElementChild?.remove();
}

function nothingOf() {
  const list = make("div", { class: "hits" }, make("p", { class: "none" }, texts.nothing),
    filters(question) ? make("p", { class: "none" },
      make("a", { href: addressOf(unfiltered()) }, texts.loosen)) : undefined);
  list.dataset.query = question.query.trim();
  return list;
}

/** @returns {Question} */
const unfiltered = () => ({ ...question, books: [], chapters: [], languages: [], kind: "" });

/** How the query was read, why meaning took no part, and what the pages are similar to. @param {Result} result */
function notesOf(result) {
  const notes = [];
  if (result.remark && !kept.isAway(result.remark)) notes.push(remarkOf(result.remark));
  if (question.similar && !question.query.trim()) notes.push(originOf());
  if (result.clauses.length) {
    notes.push(make("p", { class: "quiet" }, ...result.clauses.flatMap((one, index) => [
      index ? " · " : "", one.said, " ",
      make("a", { href: addressOf({ ...question, query: one.other }) }, texts.other,
        make("span", { class: "unseen" }, `: ${one.other}`))])));
  }
  if (result.reading) notes.push(make("p", { class: "remark" }, result.reading));
  return notes;
}

/** Once; after that a small sign. @param {string} remark */
function remarkOf(remark) {
  const away = make("button", { type: "button", "aria-label": texts.away, title: texts.away }, "×");
  const line = make("p", { class: "remark" }, ...coded(remark), " ",
    make("a", { href: "/system" }, texts.help), " ", away);
  away.addEventListener("click", () => {
    kept.putAway(remark);
    box.focus();
    const result = results.get(shown);
    if (result) show(result, shown);
  });
  return line;
}

function originOf() {
  const [id, page] = question.similar.split(":");
  const link = make("a", { href: `/read?${new URLSearchParams({ book: id, page })}` }, id.slice(0, 12));
  fetched(`/api/book/${id}`).then((book) => { if (book) link.textContent = book.title; });
  return make("p", { class: "quiet" }, `${filled(texts.origin, { page })} `, link);
}

/** How many, how long it took, and the whole result to take away. @param {number} count @param {Result} result */
function summaryOf(count, result) {
  const asked = requestOf(question);
  const said = filled(texts.found, { count, time: Math.round(result.took_ms) });
  const sign = result.remark && kept.isAway(result.remark)
    ? make("a", { class: "sign", href: "/system", title: result.remark }, texts.few) : undefined;
  const grouped = make("button", { type: "button", "aria-pressed": String(question.grouped) }, texts.grouped);
  grouped.dataset.key = "grouped";
  grouped.addEventListener("click", () => change({ ...question, grouped: !question.grouped }));
  return [said, " · ", grouped, " · ",
    make("a", { href: `/api/search.md?${asked}&language=${tongue}`, download: "bookbrain.md" }, "Markdown"), " · ",
    make("a", { href: `/api/search?${asked}`, download: "bookbrain.json" }, "JSON"),
    ...(sign ? [" · ", sign] : [])];
}

/** The page before anything is asked: what was asked before, and what could be. */
async function begin() {
  shown = "";
  wantsFirst = false;
  for (const part of ["notes", "summary", "narrow"]) at(part).replaceChildren();
  at("list").replaceChildren(...startOf());
  restore(false);
  if (!start) await learn();
  if (!asks(question)) at("list").replaceChildren(...startOf());
}

async function learn() {
  start = /** @type {Start | undefined} */ (await fetched("/api/start"));
}

function startOf() {
  if (start && !start.books) {
    return [make("p", { class: "remark" }, `${texts.empty} `, make("a", { href: "/books" }, texts.add))];
  }
  return [
    keptOf(texts.saved, kept.saved(), (one) => [one, labelOf(readQuestion(one.slice(1)))]),
    keptOf(texts.recent, kept.recent(), (one) => [addressOf({ ...nothing(), query: one }), one]),
    examplesOf(),
  ].filter((one) => one !== undefined);
}

/** @param {string} title @param {string[]} list @param {(one: string) => string[]} told its address, and what it is called */
function keptOf(title, list, told) {
  if (!list.length) return undefined;
  const items = list.map((one) => {
    const [href, said] = told(one);
    const away = make("button", { type: "button", "aria-label": `${texts.forget}: ${said}`, title: texts.forget }, "×");
    const item = make("li", {}, make("a", { href }, said), away);
    away.addEventListener("click", () => {
      kept.forget(one);
      at("list").replaceChildren(...startOf());
      box.focus();
    });
    return item;
  });
  return make("section", { class: "kept" }, make("h2", {}, title), make("ul", {}, ...items));
}

function examplesOf() {
  if (!start) return undefined;
  const items = start.examples.map(({ query, title }) =>
    make("li", {}, make("a", { href: addressOf({ ...nothing(), query }) }, query), " ",
      make("cite", {}, title)));
  const help = make("dl", {}, make("dt", {}, make("kbd", {}, "\"…\"")), make("dd", {}, texts.exactly),
    make("dt", {}, make("kbd", {}, "-…")), make("dd", {}, texts.without));
  const examples = items.length ? [make("h2", {}, texts.ask), make("ul", {}, ...items)] : [];
  return make("section", { class: "kept" }, ...examples, help);
}

/** @param {Question} asked */
function labelOf(asked) {
  const said = asked.query.trim() || texts.similar;
  const narrow = [...asked.chapters, ...asked.languages.map(languageCalled), ...asked.books.map(bookCalled)];
  return narrow.length ? `${said} (${narrow.join(", ")})` : said;
}

/** The control that had the focus has it afterwards, or what is left in its place. @param {string} name @param {(Node | string)[]} parts */
function redraw(name, parts) {
  const place = at(name), active = /** @type {HTMLElement} */ (document.activeElement);
  const had = place.contains(active) ? active.dataset.key ?? "" : undefined;
  place.replaceChildren(...parts);
  if (had === undefined) return;
  const all = /** @type {HTMLElement[]} */ ([...place.querySelectorAll("button, input")]);
  (all.find((one) => one.dataset.key === had) ?? all[0] ?? box).focus({ preventScroll: true });
}

/** The question in the title, the box, the chips and the star. */
function tell() {
  const query = question.query.trim();
  callPage([query || (question.similar && texts.similar), "BookBrain"].filter(Boolean).join(" · "));
  const save = at("save");
  save.hidden = !asks(question);
  const isSaved = kept.saved().includes(addressOf(question));
  save.textContent = isSaved ? "★" : "☆";
  save.setAttribute("aria-pressed", String(isSaved));
  showChips();
}

function showChips() {
  const chips = FACETS.flatMap((facet) => wanted(question, facet).map((value) => {
    const said = called(facet, value);
    const chip = make("button", { type: "button", class: "chip", title: texts.drop, "aria-label": `${texts.drop}: ${said}` },
      said, make("span", { "aria-hidden": "true" }, " ×"));
    chip.addEventListener("click", () => change(turned(question, facet, value)));
    return chip;
  }));
  if (question.mode !== "hybrid") {
    const said = question.mode === "keyword" ? texts.keywords : texts.meaning;
    const chip = make("button", { type: "button", class: "chip", "aria-label": `${texts.drop}: ${said}` }, said,
      make("span", { "aria-hidden": "true" }, " ×"));
    chip.addEventListener("click", () => change({ ...question, mode: "hybrid" }));
    chips.push(chip);
  }
  redraw("chips", chips);
}

/** @param {Facet} facet @param {string} value */
function called(facet, value) {
  if (facet === "book") return bookCalled(value);
  if (facet === "language") return languageCalled(value);
  return facet === "kind" ? texts[value] : value;
}

/** @param {string} code */
function languageCalled(code) {
  try {
    return new Intl.DisplayNames([tongue], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** @param {string} value */
function bookCalled(value) {
  const book = books.find((one) => prefixOf(one.id) === value);
  if (book) return book.title;
  for (const result of results.values()) {
    const hit = result.hits.find((one) => prefixOf(one.book) === value);
    if (hit) return hit.title;
  }
  if (isId(value) && !books.length && !unnamed) {  // of a book that is gone nobody knows the title
    unnamed = true;
    nameBooks().then(showChips);
  }
  return value;
}

// What it can be narrowed by

/** @param {Result} result */
function showFacets(result) {
  const whole = results.get(requestOf({ ...question, books: [] }).toString()) ?? result;
  const parts = FACETS.map((facet) => facetOf(facet, whole.hits, facet === "book" ? whole : result));
  redraw("narrow", [...(start?.by_meaning && !question.similar ? [legsOf()] : []),
    ...parts.filter((one) => one !== undefined)]);
  at("filters").hidden = !at("narrow").childElementCount;
}

/** @type {Set<Facet>} */
const unfolded = new Set();

/** @param {Facet} facet @param {import("./facets.js").Hit[]} whole @param {Result} result */
function facetOf(facet, whole, result) {
  const all = choices(question, facet === "book" ? whole : result.hits, facet);
  const isChosen = wanted(question, facet).length > 0;
  if (facet !== "book" && all.length < 2 && !isChosen) return undefined;
  const most = unfolded.has(facet) ? all.length : MOST_CHOICES;
  const items = all.slice(0, most).map((one) => choiceOf(facet, one));
  const group = make("fieldset", {}, make("legend", {}, texts[facet]), ...items);
  if (all.length > most) {
    const more = make("button", { type: "button", class: "all" }, `${texts.all} (${all.length})`);
    more.addEventListener("click", () => { unfolded.add(facet); showFacets(result); });
    group.append(more);
  }
  if (facet === "book") group.append(otherOf());
  return group;
}

/** @param {Facet} facet @param {import("./facets.js").Choice} choice */
function choiceOf(facet, choice) {
  const input = /** @type {HTMLInputElement} */ (make("input", { type: "checkbox" }));
  input.checked = choice.on;
  input.dataset.key = `${facet} ${choice.value}`;
  const said = choice.title || called(facet, choice.value);
  input.addEventListener("change", () => change(turned(question, facet, choice.value)));
  return make("label", { title: said }, input, make("span", {}, said), make("b", {}, String(choice.count)));
}

/** @type {HTMLElement | undefined} */
let other;  // one for all times, so that what is typed stays

/** A book that is not among those found, by any part of its title or file name. */
function otherOf() {
  if (other) return other;
  const field = /** @type {HTMLInputElement} */ (make("input", { type: "text", class: "another",
    placeholder: texts.another, "aria-label": texts.another, autocomplete: "off" }));
  const list = make("div", { class: "others" });
  const find = () => {
    const words = field.value.normalize("NFC").toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length ? books.filter((one) => {
      const names = `${one.title} ${one.file}`.normalize("NFC").toLocaleLowerCase();
      return words.every((word) => names.includes(word));
    }) : [];
    list.replaceChildren(...found.slice(0, MOST_CHOICES).map((one) => {
      const said = one.edition ? `${one.title} (${one.edition})` : one.title;
      const add = make("button", { type: "button" }, said);
      add.addEventListener("click", () => {
        field.value = "";
        list.replaceChildren();
        change(turned(question, "book", prefixOf(one.id)));
      });
      return add;
    }));
  };
  field.addEventListener("focus", () => {
    books = [];  // some may have come or gone
    nameBooks().then(find);
  });
  field.addEventListener("input", find);
  field.dataset.key = "another";
  other = make("div", {}, field, list);
  return other;
}

/** By keyword, by meaning or both, and what meaning counts. */
function legsOf() {
  const names = { hybrid: texts.hybrid, keyword: texts.keywords, vector: texts.meaning };
  const group = make("fieldset", {}, make("legend", {}, texts.by));
  for (const [mode, said] of Object.entries(names)) {
    const input = /** @type {HTMLInputElement} */ (make("input", { type: "radio", name: "mode", value: mode }));
    input.checked = question.mode === mode;
    input.dataset.key = mode;
    input.addEventListener("change", () => change({ ...question, mode }));
    group.append(make("label", {}, input, make("span", {}, said)));
  }
  if (question.mode === "hybrid") {
    const usual = String(start?.weight ?? "");
    const slider = /** @type {HTMLInputElement} */ (make("input", { type: "range", min: "0", max: "1", step: "0.1",
      "aria-label": texts.weight, title: texts.weight }));
    slider.value = question.weight || usual;
    slider.dataset.key = "weight";
    slider.addEventListener("change", () =>
      change({ ...question, weight: Number(slider.value) === Number(usual) ? "" : slider.value }));
    group.append(slider);
  }
  return group;
}

function showCovers() {
  for (const cover of /** @type {NodeListOf<HTMLImageElement>} */ (document.querySelectorAll("img[data-src]"))) {
    if (cover.getBoundingClientRect().top > 2 * innerHeight) continue;
    cover.src = cover.dataset.src ?? "";
    delete cover.dataset.src;
  }
}

// Where one was

/** Into the entry of the history that is about to be left. */
function keepPlace() {
  if (placing) return;
  const more = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("details.more[open]"))];
  history.replaceState({ ...history.state, y: scrollY, more: more.map((one) => one.dataset.book) }, "");
}

/** What the entry of the history says; a new one begins at the top. @param {boolean} again the same hits as before */
function restore(again) {
  const { y, more = [], opened } = history.state ?? {};
  placing = false;
  for (const one of /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("details.more"))) {
    if (more.includes(one.dataset.book)) {
      one.open = true;
      one.dispatchEvent(new Event("toggle"));
    }
  }
  if (y !== undefined) scrollTo(0, y);
  else if (!again) scrollTo(0, 0);
  if (arrived && !reader()) links().find((one) => one.href === opened)?.focus({ preventScroll: true });
  arrived = false;
}

/** @returns {HTMLAnchorElement[]} those that are seen */
function links() {
  const all = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("a.open"));
  return [...all].filter((one) => one.checkVisibility());
}

/** @param {HTMLAnchorElement} link */
function open(link) {
  settle();
  keepPlace();
  if (timers.covers) later("covers", 2 * IDLE, showCovers);  // the page first
  openReader(link, { instead: Boolean(reader()) });
}

// Keys, clicks and steps

/** Of this page or the reader, in this tab. @param {HTMLAnchorElement} link @param {MouseEvent} event */
const isOwn = (link, event) => link.origin === location.origin && !link.hasAttribute("download")
  && ["/", "/read"].includes(link.pathname)
  && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button);

/** @param {MouseEvent} event */
function onClick(event) {
  const target = /** @type {Element} */ (event.target);
  const link = /** @type {HTMLAnchorElement | null} */ (target.closest("a[href]"));
  if (link && isOwn(link, event)) {
    event.preventDefault();
    if (link.pathname === "/read") return open(link);
    const next = readQuestion(link.search);
    box.value = next.query;
    change(next);
    if (!asks(next)) box.focus();
  } else if (target.closest(".hit > .text") && getSelection()?.isCollapsed) {
    const hit = /** @type {HTMLAnchorElement | null} */ (target.closest(".hit")?.querySelector("a.open"));
    if (hit) open(hit);
  }
}

/** A hit that is pointed at, or has the focus, is the next one. @param {Event} event */
function onPointed(event) {
  const hit = /** @type {Element} */ (event.target).closest(".hit");
  const link = /** @type {HTMLAnchorElement | null | undefined} */ (hit?.querySelector("a.open"));
  if (link) later("pointed", POINTED, () => fetchAhead([link]));
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.isComposing || event.metaKey || event.ctrlKey || event.altKey) return;
  const active = document.activeElement;
  const typing = active?.matches("input:not([type=checkbox]), textarea, select");
  if ((event.key === "/" || (event.code === "Slash" && !event.shiftKey)) && !typing) {
    event.preventDefault();
    box.focus();
    box.select();
  } else if (event.key === "Enter" && active === box) {
    openFirst();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    move(event, event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape" && reader()) {
    event.preventDefault();  // a browser would empty the box
    closeReader();
  }
}

/** @param {KeyboardEvent} event @param {1 | -1} step */
function move(event, step) {
  const active = document.activeElement;
  const all = links();
  const from = all.indexOf(/** @type {HTMLAnchorElement} */ (active));
  if (!all.length || (from < 0 && active !== box && active !== document.body)) return;
  event.preventDefault();
  const next = from + step;
  if (next < 0) {
    box.focus();
    return;
  }
  const link = all[Math.min(next, all.length - 1)];
  link.focus();
  if (reader()) openReader(link, { instead: true, still: true });
}

/** Of what is in the box now; who types fast presses Enter before the hits are there. */
function openFirst() {
  wantsFirst = true;
  clearTimeout(timers.ask);
  ask();
}

box.setAttribute("aria-label", texts.box);
box.placeholder = texts.hint;
box.value = question.query;
at("save").title = texts.save;
at("save").setAttribute("aria-label", texts.save);
at("filters").textContent = texts.filters;
at("narrow").setAttribute("aria-label", texts.filters);
at("filters").addEventListener("click", () => {
  const on = at("narrow").classList.toggle("shown");
  at("filters").setAttribute("aria-expanded", String(on));
});
at("save").addEventListener("click", () => {
  kept.toggleSaved(addressOf(question));
  tell();
});
box.addEventListener("input", () =>
  change({ ...question, query: box.value, similar: "" }, { step: false, wait: PAUSE }));
document.addEventListener("click", onClick);
document.addEventListener("pointerover", onPointed);
document.addEventListener("focusin", onPointed);
document.addEventListener("keydown", onKey);
startRow();
addEventListener("scroll", () => later("place", 200, () => { keepPlace(); showCovers(); }), { passive: true });
addEventListener("popstate", () => {
  const before = addressOf(question);
  wantsFirst = false;
  question = readQuestion(location.search);
  settled = true;
  clearTimeout(timers.step);
  if (addressOf(question) === before) return;
  placing = true;
  box.value = question.query;
  tell();
  clearTimeout(timers.ask);
  ask();
});
BESIDE.addEventListener("change", () => showReader(true));

history.scrollRestoration = "manual";
startOverlay(texts.reader);
tell();
ask();
if (!start) learn().then(() => { const result = results.get(shown); if (result) showFacets(result); });

// The hits as a person sees them: a book, its best page as the headline, its other pages behind it.

import { filled, make, snippetOf, texts, unseen } from "./element.js";
import { byBook } from "./facets.js";
import { addressOf, nothing, readerOf } from "./question.js";

/**
 * @typedef {import("./facets.js").Hit} Hit
 * @typedef {import("./question.js").Question} Question
 */

const COVER = 120;  // pixels, on screens with two for one

/**
 * A list of the hits; of a book that has several the further ones unfold, unless it is the only one.
 * @param {Hit[]} hits
 * @param {Question} question
 */
export function listOf(hits, question) {
  const groups = question.grouped ? byBook(hits) : [];
  const grouped = groups.length > 1;
  const items = grouped
    ? groups.map((pages) => groupOf(pages, question.query))
    : hits.map((hit) => make("li", {}, articleOf(hit, question.query)));
  const list = make("ol", { class: grouped ? "hits grouped" : "hits" }, ...items);
  list.dataset.query = question.query.trim();
  return list;
}

/** @param {Hit[]} pages @param {string} query */
function groupOf(pages, query) {
  const [first, ...others] = pages;
  const cover = make("img", { class: "cover", alt: "", width: "40", height: "54" });
  cover.dataset.src = `/page/${first.book}/1.png?width=${COVER}`;
  return make("li", {}, cover, articleOf(first, query), others.length ? furtherOf(others, query) : undefined);
}

/** They are drawn when they are asked for. @param {Hit[]} others @param {string} query */
function furtherOf(others, query) {
  const places = make("span", { class: "places" }, others.map((one) => one.label).join(", "));
  const more = make("details", { class: "more" },
    make("summary", {}, filled(texts.more, { count: others.length }), " ", places));
  more.dataset.book = others[0].book;
  more.addEventListener("toggle", () => {
    if (more.childElementCount === 1) more.append(...others.map((hit) => articleOf(hit, query, true)));
  });
  return more;
}

/** @param {Hit} hit @param {string} query @param {boolean} [further] of a book whose title stands above */
function articleOf(hit, query, further = false) {
  const link = make("a", { class: "open", href: readerOf(hit.book, hit.page, query) });
  const headline = [hit.place, hit.chapter].filter(Boolean).join(" · ");
  link.append(make("span", { class: "page" }, hit.label));
  if (hit.chapter) link.append(make("span", { class: "chapter" }, hit.chapter));
  link.append(further ? unseen(`, ${hit.title}`) : "");
  const other = hit.label === hit.place ? "" : filled(texts.file, { page: hit.page });
  const where = [...(further ? [] : [hit.title, hit.edition]), other, hit.doubt].filter(Boolean).join(" · ");
  const article = make("article", { class: "hit" },
    make("h2", {}, link),
    where ? make("p", { class: "where" }, where) : undefined,
    make("p", { class: "text" }, ...written(snippetOf(hit.snippet))),
    alikeOf(hit, query),
    doingOf(hit, `: ${hit.title}, ${headline}`));
  return article;
}

/** What stands between the first and the last line break is a listing. @param {(Node | string)[]} pieces */
function written(pieces) {
  /** @type {(Node | string)[][]} */
  const lines = [[]];
  for (const piece of pieces) {
    const [first, ...others] = typeof piece === "string" ? piece.split("\n") : [piece];
    lines[lines.length - 1].push(first);
    lines.push(...others.map((one) => [one]));
  }
  if (lines.length < 3) return pieces;
  const listing = lines.slice(1, -1).flatMap((line, index) => [index ? "\n" : "", ...line]);
  return [...lines[0], make("code", { class: "listing" }, ...listing), ...lines[lines.length - 1]];
}

/** @param {Hit} hit @param {string} query */
function alikeOf(hit, query) {
  if (!hit.alike.length) return undefined;
  const links = hit.alike.flatMap((one, index) => [index ? " · " : "",
    make("a", { class: "alike", href: readerOf(one.book, one.page, query) }, one.said)]);
  return make("p", { class: "where" }, `${texts.alike}: `, ...links);
}

/** What can be done with a hit; each with a name that tells it from that of other hits. @param {Hit} hit @param {string} about */
function doingOf(hit, about) {
  const like = addressOf({ ...nothing(), similar: `${hit.book}:${hit.page}` });
  const copy = make("button", { type: "button" }, texts.copy, unseen(about));
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(hit.citation);
    copy.textContent = texts.copied;
  });
  return make("div", { class: "doing" },
    make("a", { href: like }, texts.similar, unseen(about)),
    copy,
    make("details", {}, make("summary", {}, texts.why, unseen(about)), make("p", {}, whyOf(hit))));
}

/** Each leg's rank and score, the score of both together, and the file. @param {Hit} hit */
function whyOf(hit) {
  const legs = /** @type {const} */ (["keyword", "vector"]).map((name) => {
    const leg = hit.why[name];
    return leg ? `${texts[name]}: ${texts.rank} ${leg.rank}, ${texts.score} ${leg.score.toFixed(2)}` : "";
  });
  return [...legs, `${texts.together}: ${hit.score.toFixed(2)}`, hit.file].filter(Boolean).join(" · ");
}

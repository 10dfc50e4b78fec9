// What was found, narrowed: by book, chapter, language, and whether a page was recognised.

import { prefixOf } from "./question.js";

/**
 * @typedef {import("./question.js").Question} Question
 * @typedef {{rank: number, score: number} | null} Leg
 * @typedef {{rank: number, score: number, book: string, page: number, title: string, file: string,
 *   label: string, place: string, chapter: string, edition: string, doubt: string, recognised: boolean,
 *   language: string, snippet: string, citation: string, why: {keyword: Leg, vector: Leg},
 *   alike: {book: string, page: number, said: string}[]}} Hit
 * @typedef {{query: string, mode: string, took_ms: number, remark: string, reading: string,
 *   clauses: {said: string, other: string}[], hits: Hit[], partly?: boolean}} Result
 * @typedef {"book" | "chapter" | "language" | "kind"} Facet
 * @typedef {{value: string, title: string, count: number, on: boolean}} Choice
 */

/** @type {Record<Facet, (hit: Hit) => string>} */
const VALUE = {
  book: (hit) => prefixOf(hit.book),
  chapter: (hit) => hit.chapter,
  language: (hit) => hit.language,
  kind: (hit) => (hit.recognised ? "recognised" : "digital"),
};
export const FACETS = /** @type {Facet[]} */ (Object.keys(VALUE));

/** The values of a facet that a question wants; any, where there is none. @param {Question} question @param {Facet} facet */
export function wanted(question, facet) {
  switch (facet) {
    case "book": return question.books;
    case "chapter": return question.chapters;
    case "language": return question.languages;
    default: return question.kind ? [question.kind] : [];
  }
}

/** The question with one value of a facet the other way. @param {Question} question @param {Facet} facet @param {string} value @returns {Question} */
export function turned(question, facet, value) {
  const before = wanted(question, facet);
  const after = before.includes(value) ? before.filter((one) => one !== value) : [...before, value];
  switch (facet) {
    case "book": return { ...question, books: after };
    case "chapter": return { ...question, chapters: after };
    case "language": return { ...question, languages: after };
    default: return { ...question, kind: before.includes(value) ? "" : value };
  }
}

/** @param {Question} question @param {Hit[]} hits @param {Facet} [but] which facet does not count */
export function narrowed(question, hits, but) {
  const facets = FACETS.filter((one) => one !== but && wanted(question, one).length);
  return hits.filter((hit) => facets.every((one) => wanted(question, one).includes(VALUE[one](hit))));
}

/**
 * What can be chosen of a facet: as many hits each has that the other filters let through; those
 * that are chosen first.
 * @param {Question} question @param {Hit[]} hits of the question without its books @param {Facet} facet
 * @returns {Choice[]}
 */
export function choices(question, hits, facet) {
  const chosen = wanted(question, facet);
  /** @type {Map<string, Choice>} */
  const found = new Map(chosen.map((value) => [value, { value, title: "", count: 0, on: true }]));
  for (const hit of narrowed(question, hits, facet)) {
    const value = VALUE[facet](hit);
    const choice = found.get(value) ?? { value, title: "", count: 0, on: false };
    choice.count += 1;
    if (facet === "book") choice.title = hit.edition ? `${hit.title} (${hit.edition})` : hit.title;
    found.set(value, choice);
  }
  if (facet !== "kind") found.delete("");
  return [...found.values()].sort((a, b) => Number(b.on) - Number(a.on) || b.count - a.count);
}

/** The hits of each book, the book with the best hit first. @param {Hit[]} hits */
export function byBook(hits) {
  /** @type {Map<string, Hit[]>} */
  const books = new Map();
  for (const hit of hits) {
    const pages = books.get(hit.book);
    if (pages) pages.push(hit);
    else books.set(hit.book, [hit]);
  }
  return [...books.values()];
}

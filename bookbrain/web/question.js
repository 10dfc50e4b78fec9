// A question, and the addresses that hold it: that of the page, and those of the API.

/**
 * `books` are the beginnings of ids, or in old addresses what books are called. `kind` is "recognised", "digital" or "". `weight` is what meaning counts, "" for what is usual.
 * `similar` is a book and a page of it, where pages like that one are asked for.
 * @typedef {{query: string, books: string[], chapters: string[], languages: string[], kind: string,
 *   mode: string, weight: string, similar: string, grouped: boolean}} Question
 * @typedef {{id: string, title: string, file: string, edition: string}} Book
 */

export const MOST = "100";  // hits that are asked for
export const FIRST = "20";  // of them, which are there sooner
const LONGEST = 2000;  // characters of a query in the address of a page
const PREFIX = 12;  // digits of a book's id
const MODES = ["hybrid", "keyword", "vector"];

/** @returns {Question} */
export const nothing = () => ({ query: "", books: [], chapters: [], languages: [], kind: "",
  mode: "hybrid", weight: "", similar: "", grouped: true });

/** @param {string} search as location.search has it @returns {Question} */
export function readQuestion(search) {
  const given = new URLSearchParams(search);
  const mode = given.get("mode") ?? "";
  const kind = given.get("kind") ?? "";
  return {
    query: given.get("q") ?? "",
    books: [...given.getAll("book"), ...given.getAll("books")].map((one) => (isId(one) ? prefixOf(one) : one)),
    chapters: given.getAll("chapter"),
    languages: given.getAll("language"),
    kind: ["recognised", "digital"].includes(kind) ? kind : "",
    mode: MODES.includes(mode) ? mode : "hybrid",
    weight: given.get("weight") ?? "",
    similar: given.get("q") ? "" : given.get("similar") ?? "",
    grouped: given.get("grouped") !== "no",
  };
}

/**
 * Books by what older addresses call them: the title, and the edition in brackets behind it.
 * @param {string[]} names
 * @param {Book[]} books
 */
export function booksCalled(names, books) {
  return names.flatMap((name) => {
    if (isId(name)) return [name.slice(0, PREFIX)];
    const exact = books.filter((one) => one.title === name);
    const edition = books.filter((one) => name.startsWith(`${one.title} (`)
      && (name.includes(prefixOf(one.id)) || name.endsWith(`(${one.edition})`)));
    return (exact.length ? exact : edition).map((one) => prefixOf(one.id));
  });
}

/** @param {string} name */
export const isId = (name) => /^[0-9a-f]{12,64}$/.test(name);
/** What a book is called in questions and addresses. @param {string} id */
export const prefixOf = (id) => id.slice(0, PREFIX);

/** @param {Question} question */
export function addressOf(question) {
  const told = new URLSearchParams();
  if (question.query.trim()) told.set("q", question.query.slice(0, LONGEST));
  else if (question.similar) told.set("similar", question.similar);
  for (const one of question.books) told.append("book", one);
  for (const one of question.chapters) told.append("chapter", one);
  for (const one of question.languages) told.append("language", one);
  if (question.kind) told.set("kind", question.kind);
  if (question.mode !== "hybrid") told.set("mode", question.mode);
  if (question.weight) told.set("weight", question.weight);
  if (!question.grouped) told.set("grouped", "no");
  return told.size ? `/?${told}` : "/";
}

/** What the server is asked; the other filters are the page's own. @param {Question} question @param {string} [count] of hits */
export function requestOf(question, count = MOST) {
  const asked = new URLSearchParams();
  if (question.similar && !question.query.trim()) {
    asked.set("similar", question.similar);
    asked.set("k", count);
    return asked;
  }
  asked.set("q", question.query);
  asked.set("k", count);
  asked.set("mode", question.mode);
  for (const one of question.books) asked.append("book", one);
  if (question.weight && question.mode === "hybrid") asked.set("weight", question.weight);
  return asked;
}

/** Whether there is something to ask. @param {Question} question */
export const asks = (question) => Boolean(question.query.trim() || question.similar);

/** Whether something narrows it. @param {Question} question */
export const filters = (question) => Boolean(question.books.length || question.chapters.length
  || question.languages.length || question.kind);

/** The address of a page in the reader. @param {string} book @param {number} page @param {string} query */
export function readerOf(book, page, query) {
  const told = new URLSearchParams({ book, page: String(page) });
  if (query.trim()) told.set("find", query.slice(0, LONGEST));
  return `/read?${told}`;
}

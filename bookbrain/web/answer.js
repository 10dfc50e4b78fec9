// An answer as a person sees it: statements, each with words of a book and where they stand. What
// the model and the books say becomes text.

import { coded, filled, make, texts, unseen } from "./element.js";
import { addressOf, nothing, readerOf } from "./question.js";

/**
 * @typedef {{book_id: string, title: string, file: string, page: number, page_label: string, chapter: string,
 *   quote: string}} Quotation
 * @typedef {{text: string, quotes: Quotation[]}} Statement
 * @typedef {{question: string, statements: Statement[], left_out: number, struck_quotes: number, nearest: Quotation[],
 *   queries: string[], degraded: string | null, model: string, tokens: number,
 *   dollars: number | null, remark: string, stopped: string, markdown: string}} Answer
 */

/** A question with nothing said to it yet. @param {string} question */
export function turnOf(question) {
  return make("article", { class: "turn" }, make("h2", {}, question), make("ol", { class: "statements" }));
}

/** @param {HTMLElement} turn @param {Statement} statement */
export function addStatement(turn, statement) {
  turn.querySelector(".statements")?.append(make("li", { class: "statement" },
    make("p", { class: "said" }, ...coded(statement.text)), ...statement.quotes.map(quotationOf)));
}

/** @param {Quotation} quotation */
function quotationOf(quotation) {
  return make("blockquote", { class: "quotation" },
    make("p", { class: "quote" }, `“${quotation.quote}”`), make("p", { class: "source" }, linkOf(quotation)));
}

/** To the page, with the words marked. @param {Quotation} quotation */
function linkOf(quotation) {
  const quote = quotation.quote ? `&${new URLSearchParams({ quote: quotation.quote })}` : "";
  return make("a", { class: "open", href: readerOf(quotation.book_id, quotation.page, "") + quote }, sourceOf(quotation));
}

/** Title, chapter and page, as `Quotation.source` has it. @param {Quotation} quotation */
function sourceOf({ title, chapter, page, page_label: label }) {
  const said = !label ? texts.page : label === String(page) ? texts.label : texts.both;
  const place = filled(said, { label, page });
  return filled(chapter ? texts.chapter : texts.source, { title, chapter, place });
}

/**
 * What is to be said when nothing more comes. A question that follows on others is none to keep.
 * @param {HTMLElement} turn @param {Answer} answer @param {boolean} alone
 */
export function endTurn(turn, answer, alone) {
  if (!answer.statements.length && !answer.stopped) turn.append(make("p", { class: "said" }, texts.silent));
  if (answer.nearest.length && !answer.stopped) {
    turn.append(make("p", { class: "quiet" }, texts.nearest),
      make("ul", { class: "nearest" }, ...answer.nearest.map((one) => make("li", { class: "source" }, linkOf(one)))));
  }
  const notes = [
    answer.left_out && filled(texts.left, { count: answer.left_out }),
    answer.struck_quotes && filled(texts.struck, { count: answer.struck_quotes }),
    answer.degraded && filled(texts.note, { reason: answer.degraded }),
    answer.remark,
  ];
  for (const note of notes) if (note) turn.append(make("p", { class: "remark" }, ...coded(note)));
  turn.append(make("div", { class: "doing" }, insteadOf(answer.queries), copyOf(turn, answer),
    alone ? keepOf(turn, answer) : undefined, costOf(answer)));
}

/** @param {HTMLElement} turn @param {Answer} answer */
function copyOf(turn, { markdown }) {
  if (!markdown) return undefined;
  const copy = make("button", { type: "button" }, texts.copy, unseen(`: ${turn.querySelector("h2")?.textContent}`));
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(markdown);
    copy.textContent = texts.copied;
  });
  return copy;
}

/**
 * Buttons that keep the question with what its answer must quote, or that there is none.
 * @param {HTMLElement} turn @param {Answer} answer
 */
function keepOf(turn, { question, statements, stopped }) {
  if (stopped) return undefined;
  const quotes = statements.flatMap((one) => one.quotes);
  const places = new Map(quotes.map(({ file, page }) => [`${page} ${file}`, { book: file, pages: [page] }]));
  const none = { question, no_answer: true };
  const right = places.size ? { question, quoted: [...places.values()] } : none;
  const said = make("p", { class: "quiet", role: "status" });
  const judged = places.size ? { right, wrong: none } : { right };
  turn.append(said);
  return make("span", {}, ...coded(texts.keep), ...Object.entries(judged).flatMap(([name, known], index) => [
    index ? " · " : " ", keeperOf(name, known, said)]));
}

/** @param {string} name @param {object} known @param {HTMLElement} said */
function keeperOf(name, known, said) {
  const button = make("button", { type: "button" }, texts[name]);
  button.addEventListener("click", async () => {
    try {
      const answer = await fetch("/api/golden", { method: "POST", body: JSON.stringify(known),
        headers: { "Content-Type": "application/json" } });
      const told = answer.status === 401 ? { error: texts.out, hint: "" } : await answer.json();
      said.replaceChildren(...coded(answer.ok ? filled(texts.kept, told) : `${told.error} ${told.hint}`));
    } catch {
      said.textContent = texts.gone;
    }
  });
  return button;
}

/** @param {string[]} queries */
function insteadOf(queries) {
  if (!queries.length) return undefined;
  return make("span", {}, texts.instead, " ", ...queries.flatMap((query, index) =>
    [index ? " · " : "", make("a", { class: "instead", href: addressOf({ ...nothing(), query }) }, query)]));
}

/** @param {Answer} answer */
function costOf({ model, tokens, dollars }) {
  if (!tokens) return undefined;
  const cost = dollars === null ? "" : `$${dollars.toFixed(dollars < 1 ? 4 : 2)}`;
  const said = filled(cost ? texts.paid : texts.tokens, { tokens: tokens.toLocaleString("en"), cost });
  return make("span", { class: "paid" }, model, " · ", said);
}

/** What went wrong, and what to do. @param {HTMLElement} turn @param {string} said */
export function failTurn(turn, said) {
  turn.insertBefore(make("p", { class: "trouble", role: "alert" }, ...coded(said)), turn.querySelector(".doing"));
}

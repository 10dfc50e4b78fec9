// The Ask page: asks when one says so, shows statements as they come, and the page of each beside
// them. A conversation is kept while the page lives, and nowhere else.

import { addStatement, endTurn, failTurn, turnOf } from "./answer.js";
import { at, coded, filled, make, texts, tongue } from "./element.js";
import { eventsOf } from "./event_stream.js";
import { callPage, closeReader, openReader, reader, showReader, startOverlay } from "./overlay.js";
import { startRow } from "./row.js";

/** @typedef {{question: string, answer: string[]}} Exchange */

const MOST_EARLIER = 4;  // turns that the server takes
const REST = 120;  // ms of the pointer on a quotation before its page is shown
const COMPOSING = 229;  // what Safari says of the Enter that ends a syllable
const BESIDE = matchMedia("(min-width: 1100px)");  // as in search.css
const COARSE = matchMedia("(pointer: coarse)");

const box = /** @type {HTMLTextAreaElement} */ (at("box"));
const further = /** @type {HTMLTextAreaElement} */ (at("further"));
/** @type {Map<number, {views: HTMLElement[], turns: Exchange[]}>} */
const conversations = new Map();
let present = 0;  // the conversation that is shown; 0 for none
let asked = "";  // what is being answered
/** @type {AbortController | undefined} */
let under;
/** @type {number | undefined} */
let resting;
let pointed = "";  // where the pointer was last

const addressOf = (/** @type {string} */ question) => `/ask?${new URLSearchParams({ q: question })}`;
const questionOf = () => new URLSearchParams(location.search).get("q")?.trim() ?? "";

// What is asked

/** A question that begins a conversation. */
function begin() {
  const question = box.value.trim();
  if (!question || question === asked) return;
  stop();
  const state = { conversation: Date.now() };  // also told from those before a reload
  const known = present || location.hash || questionOf() !== question;
  history[known ? "pushState" : "replaceState"](state, "", addressOf(question));
  showReader();
  if (COARSE.matches) box.blur();  // its keyboard would lie over the answer
  conversations.set(state.conversation, { views: [], turns: [] });
  show(state.conversation);
  ask(question);
}

/** A question that follows on those of this conversation. */
function goOn() {
  const question = further.value.trim();
  if (!question || under) return;
  further.value = "";
  ask(question);
}

/** @param {string} question */
async function ask(question) {
  const { views, turns } = /** @type {{views: HTMLElement[], turns: Exchange[]}} */ (conversations.get(present));
  const turn = turnOf(question);
  views.push(turn);
  at("list").append(turn);
  if (views.length > 1) turn.scrollIntoView({ block: "start" });
  const mine = under = new AbortController();
  asked = question;
  tell(texts.seeking);
  try {
    await hear(question, turns, turn, mine.signal);
  } catch {
    failTurn(turn, mine.signal.aborted ? texts.halted : texts.gone);
  }
  if (under === mine) {
    under = undefined;
    asked = "";
    tell("");
  }
}

/**
 * Shows what comes until the end of the answer; throws where that does not come.
 * @param {string} question @param {Exchange[]} turns @param {HTMLElement} turn @param {AbortSignal} signal
 */
async function hear(question, turns, turn, signal) {
  const body = { question, language: tongue, earlier: turns.slice(-MOST_EARLIER) };
  const answer = await fetch("/api/ask", { method: "POST", signal, body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", Accept: "application/json" } });
  if (answer.status === 401) return failTurn(turn, texts.out);
  if (!answer.ok) {
    const { error, hint } = await answer.json();
    return failTurn(turn, `${error} ${hint}`);
  }
  let ended = false;
  for await (const { name, told } of eventsOf(answer)) {
    if (name === "reading" && !signal.aborted) tell(filled(texts.reading, told));
    else if (name === "statement") {
      addStatement(turn, told);
      follow(turn);
    } else if (name === "answer") {
      ended = true;
      endTurn(turn, told, !turns.length);
      if (!told.stopped) {
        turns.push({ question, answer: told.statements.map((/** @type {{text: string}} */ one) => one.text) });
      }
    } else if (name === "error") failTurn(turn, `${told.error} ${told.hint}`);
  }
  if (!ended) throw new Error("no end");
}

function stop() {
  under?.abort();
  under = undefined;
  asked = "";
  tell("");
}

// What is shown

/** What goes on, and what can be done about it. @param {string} progress */
function tell(progress) {
  at("summary").textContent = progress;
  at("go").textContent = under ? texts.stop : texts.ask;
  at("busy").hidden = !under;
  at("following").hidden = Boolean(under) || !conversations.get(present)?.turns.length;
}

/** A conversation, or what this page is for. @param {number} conversation */
function show(conversation) {
  const kept = conversations.get(conversation);
  present = kept ? conversation : 0;
  at("list").replaceChildren(...(kept ? kept.views : [
    make("p", { class: "quiet" }, texts.about), make("p", { class: "quiet" }, texts.cost)]));
  callPage([questionOf(), "BookBrain"].filter(Boolean).join(" · "));
  tell("");
}

function showMissing() {
  callPage("BookBrain");
  at("list").replaceChildren(make("p", { class: "said" }, texts.missing), make("p", { class: "quiet" }, ...coded(texts.needed)),
    make("p", { class: "quiet" }, make("a", { href: "/" }, texts.search)));
}

// The page of a quotation

/** The first page of an answer comes by itself where there is room for it. @param {HTMLElement} turn */
function follow(turn) {
  const links = /** @type {NodeListOf<HTMLAnchorElement>} */ (turn.querySelectorAll("a.open"));
  if (turn.isConnected && turn.querySelectorAll(".statement").length === 1 && BESIDE.matches) {
    open(links[0], true);
  }
}

/** @param {HTMLAnchorElement} link @param {boolean} [still] the focus stays where it is */
function open(link, still = false) {
  openReader(link, { instead: Boolean(reader()), still });
  point(link);
}

/** @param {HTMLAnchorElement} [link] the one whose page is shown */
function point(link) {
  for (const one of document.querySelectorAll("a.open[aria-current]")) one.removeAttribute("aria-current");
  link?.setAttribute("aria-current", "true");
}

/** Beside the answer the page follows pointer and focus. @param {HTMLAnchorElement | null | undefined} link */
function turnTo(link) {
  if (link && BESIDE.matches && reader() && !link.hasAttribute("aria-current")) open(link, true);
}

/** @param {EventTarget | null} target @returns {HTMLAnchorElement | null | undefined} */
const linkAt = (target) => /** @type {Element} */ (target).closest(".quotation, .statement, .nearest > li")?.querySelector("a.open");

/** A page that moves under the pointer is no move of it. @param {PointerEvent} event */
function onPointer(event) {
  const place = `${event.screenX} ${event.screenY}`;
  if (event.pointerType !== "mouse" || place === pointed) return;
  pointed = place;
  clearTimeout(resting);
  const link = linkAt(event.target);
  resting = setTimeout(() => turnTo(link), REST);
}

// Keys, clicks and steps

/** @param {MouseEvent} event */
function onClick(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button) return;
  const target = /** @type {Element} */ (event.target);
  const onText = !target.closest("a, button") && getSelection()?.isCollapsed;
  const link = /** @type {HTMLAnchorElement | null | undefined} */ (target.closest("a.open") ?? (onText && linkAt(target)));
  if (!link) return;
  event.preventDefault();
  open(link);
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.isComposing || event.keyCode === COMPOSING || event.metaKey || event.ctrlKey || event.altKey) return;
  const active = document.activeElement;
  const typing = active === box || active === further;
  if (event.key === "Enter" && typing && !event.shiftKey) {
    event.preventDefault();
    if (active === box) begin();
    else goOn();
  } else if ((event.key === "/" || (event.code === "Slash" && !event.shiftKey)) && !typing) {
    event.preventDefault();
    box.focus();
    box.select();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    move(event, event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape") {
    if (reader()) closeReader();
    else stop();
  }
}

/** From a statement to the next one. @param {KeyboardEvent} event @param {1 | -1} step */
function move(event, step) {
  const active = document.activeElement;
  const items = [...document.querySelectorAll(".statement, .nearest > li")];
  const from = items.findIndex((one) => one.contains(active));
  const below = active === box && step > 0 && box.selectionEnd === box.value.length;
  if (!items.length || (from < 0 && !below && active !== document.body)) return;
  event.preventDefault();
  if (from + step < 0) box.focus();
  else items[Math.min(from + step, items.length - 1)].querySelector("a")?.focus();
}

function start() {
  at("asking").hidden = false;
  box.setAttribute("aria-label", texts.box);
  box.placeholder = texts.hint;
  box.value = questionOf();
  further.setAttribute("aria-label", texts.further);
  further.placeholder = texts.further;
  at("on").textContent = texts.ask;
  at("go").addEventListener("click", () => { if (under) stop(); else begin(); });
  at("on").addEventListener("click", goOn);
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  document.addEventListener("pointermove", onPointer);
  document.addEventListener("focusin", (event) => {
    const target = /** @type {HTMLAnchorElement} */ (event.target);
    if (target.matches("a.open")) turnTo(target);
  });
  addEventListener("popstate", () => {
    const conversation = history.state?.conversation ?? 0;
    if (conversation !== present) {
      stop();
      box.value = questionOf();
      show(conversation);
    }
    if (!reader()) point();
  });
  BESIDE.addEventListener("change", () => showReader(true));
  show(0);
  box.focus();
}

startRow();
startOverlay(texts.reader);
if (texts.missing) showMissing();
else start();

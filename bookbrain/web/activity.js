// What is under way, in the row above every page.

const OFTEN = 2000;  // ms between two looks, while something is
const SELDOM = 15_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

let gone = "";
let app = "";  // the run of the app that answered

/**
 * Looks again and again, and after each click on a button; a tab that nobody sees does not.
 * @param {string} [said] of a page that needs the run of the app that made it: said while the server
 *   is away, and the page is loaded again when another run answers
 */
export function watchActivity(said = "") {
  gone = said;
  document.addEventListener("visibilitychange", look);
  document.addEventListener("click", (event) => {
    if (/** @type {Element} */ (event.target).closest("button")) wait(OFTEN);
  });
  look();
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  let pause = SELDOM;
  try {
    const answer = await fetch("/api/activity");
    if (answer.ok) pause = show(known(await answer.json())) ? OFTEN : SELDOM;
  } catch {
    if (gone && show({ said: gone, part: 0 })) pause = OFTEN;
  }
  wait(pause);
}

/** @typedef {{said: string, part: number, app?: string}} Seen */

/** @param {Seen} seen */
function known(seen) {
  if (gone && app && seen.app && seen.app !== app) location.reload();
  app = seen.app ?? app;
  return seen;
}

/** @param {number} pause */
function wait(pause) {
  clearTimeout(timer);
  timer = setTimeout(look, pause);
}

/** @param {Seen} seen */
function show({ said, part }) {
  const place = /** @type {HTMLElement | null} */ (document.querySelector(".row .activity"));
  if (!place) return false;
  if (place.textContent !== said) place.textContent = said;
  place.hidden = !said;
  place.style.setProperty("--part", String(part));
  return said !== "";
}

// What is under way, in the row above every page.

const OFTEN = 2000;  // ms between two looks, while something is
const SELDOM = 15_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @type {Away} */
let away = {};
let app = "";  // the run of the app that answered

/**
 * Looks again and again, and after each click on a button; a tab that nobody sees does not.
 * @typedef {{gone?: string, out?: string}} Away said while the server is away, or nobody is signed in
 * @param {Away} [said] of a page that needs the run of the app that made it, and is loaded again when
 *   another run answers
 */
export function watchActivity(said = {}) {
  away = said;
  document.addEventListener("visibilitychange", look);
  document.addEventListener("click", (event) => {
    if (/** @type {Element} */ (event.target).closest("button")) wait(OFTEN);
  });
  look();
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  let said = away.gone;
  try {
    const answer = await fetch("/api/activity");
    if (answer.ok) return wait(show(known(await answer.json())) ? OFTEN : SELDOM);
    if (answer.status === 401) said = away.out;
  } catch {
    // as where a proxy says that it is away
  }
  wait(said && show({ said, part: 0 }) ? OFTEN : SELDOM);
}

/** @typedef {{said: string, part: number, app?: string}} Seen */

/** @param {Seen} seen */
function known(seen) {
  if (away.gone && app && seen.app && seen.app !== app) location.reload();
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

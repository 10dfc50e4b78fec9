// What is under way, in the row above every page.

const OFTEN = 2000;  // ms between two looks, while something is
const SELDOM = 15_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Looks again and again, and after each click on a button; a tab that nobody sees does not. */
export function watchActivity() {
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
    if (answer.ok) pause = show(await answer.json()) ? OFTEN : SELDOM;
  } catch {
    // the server is away, which others tell
  }
  wait(pause);
}

/** @param {number} pause */
function wait(pause) {
  clearTimeout(timer);
  timer = setTimeout(look, pause);
}

/** @param {{said: string, part: number}} seen */
function show({ said, part }) {
  const place = /** @type {HTMLElement | null} */ (document.querySelector(".row .activity"));
  if (!place) return false;
  if (place.textContent !== said) place.textContent = said;
  place.hidden = !said;
  place.style.setProperty("--part", String(part));
  return said !== "";
}

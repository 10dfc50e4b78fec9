// The row above a page: the language that is chosen in it, and what is under way.

import { watchActivity } from "./activity.js";

export function startRow() {
  watchActivity();
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".row button[data-language]"))) {
    button.addEventListener("click", () => {
      document.cookie = `language=${button.dataset.language}; path=/; max-age=31536000; samesite=lax`;
      location.reload();
    });
  }
  for (const name of ["dragover", "drop"]) {  // a file would take the place of the page
    document.addEventListener(name, (event) => event.preventDefault());
  }
}

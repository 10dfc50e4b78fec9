// Files that are dropped anywhere on a page of Streamlit's go to its uploader, on the page of the books.

const ZONE = "[data-testid='stFileUploaderDropzone']";
const CLOSED = "[data-testid='stExpander'] details:not([open]) summary";  // the first is that of the uploader
const TRIES = 100;  // a tenth of a second apart, while the page is drawn

/** @param {(address: string) => void} go to another page of Streamlit's */
export function takeDrops(go) {
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.documentElement.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.documentElement.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    document.documentElement.classList.remove("dropping");
    const target = /** @type {Element} */ (event.target);
    if (!event.dataTransfer || !hasFiles(event) || target.closest(ZONE)) return;
    event.preventDefault();  // it would take the place of the page
    hand([...event.dataTransfer.files], go);
  });
}

/** @param {DragEvent} event */
const hasFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

/** @param {File[]} files @param {(address: string) => void} go */
async function hand(files, go) {
  if (location.pathname !== "/books") go("/books");
  let opened = false;
  for (let left = TRIES; left; left -= 1) {
    const zone = document.querySelector(ZONE);
    const input = /** @type {HTMLInputElement | null} */ (zone?.querySelector("input"));
    if (input && zone?.checkVisibility()) {
      const all = new DataTransfer();
      for (const file of files) all.items.add(file);
      input.files = all.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
      return;
    }
    const summary = /** @type {HTMLElement | null} */ (document.querySelector(CLOSED));
    if (summary && !opened) {
      opened = true;
      summary.click();
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

// Elements, and the texts that the server gave the page. What a book or a query says becomes text.

/** @type {Record<string, string>} */
export const texts = JSON.parse(document.body.dataset.texts ?? "{}");
export const tongue = document.documentElement.lang;

/** @param {string} id */
export const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} text @param {Record<string, string | number>} values */
export const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

/**
 * An element with attributes and what is in it; `undefined` and "" in it are left out, as are
 * attributes that are `undefined`.
 * @param {string} name
 * @param {Record<string, string | undefined>} [attributes]
 * @param {(Node | string | undefined)[]} content
 */
export function make(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(key, value);
  }
  element.append(.../** @type {(Node | string)[]} */ (content.filter((one) => one)));
  return element;
}

/** What stands in backticks is code. @param {string} text */
export const coded = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));

/** What only a screen reader says. @param {string} text */
export const unseen = (text) => make("span", { class: "unseen" }, text);

/**
 * The server's snippet: text and `<mark>`, and nothing else, whatever it holds.
 * @param {string} html
 */
export function snippetOf(html) {
  const inert = document.createElement("template");
  inert.innerHTML = html;
  return [...inert.content.childNodes].map((node) =>
    node.nodeName === "MARK" ? make("mark", {}, node.textContent ?? "") : node.textContent ?? "");
}

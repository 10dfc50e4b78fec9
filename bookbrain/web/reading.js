// Where one stopped reading, the book read last first. It is a cookie, so that the shelf, which the
// server draws, can say so; and it says so of this browser only.

import { prefixOf } from "./question.js";

const MOST = 24;  // books
const YEAR = 31_536_000;  // seconds

/** @param {string} id @param {number} page */
export function keepReading(id, page) {
  const book = prefixOf(id);
  const kept = /(?:^|; )reading=([0-9a-f.-]*)/.exec(document.cookie)?.[1].split("-") ?? [];
  const others = kept.filter((one) => one && !one.startsWith(`${book}.`));
  const value = [`${book}.${page}`, ...others].slice(0, MOST).join("-");
  document.cookie = `reading=${value}; path=/; max-age=${YEAR}; samesite=lax`;
}

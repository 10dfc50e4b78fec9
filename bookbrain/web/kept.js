// What stays on this machine: recent and saved searches, and remarks that were put away.

const MOST = 8;

/** @param {string} name @returns {string[]} */
function listed(name) {
  try {
    const kept = JSON.parse(localStorage.getItem(name) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** @param {string} name @param {string[]} list */
function keep(name, list) {
  try {
    localStorage.setItem(name, JSON.stringify(list));
  } catch { /* it is full, or this browser keeps nothing */ }
}

/** Queries, the newest first. */
export const recent = () => listed("search.recent");

/** Put `query` first; what one typed on the way to it, and on the way back, is forgotten. @param {string} query */
export function remember(query) {
  query = query.trim();
  if (!query) return;
  const before = recent();
  const [last = ""] = before;
  if (last && (query.startsWith(last) || last.startsWith(query))) {
    before.shift();
    if (last.length > query.length) query = last;
  }
  keep("search.recent", [query, ...before.filter((one) => one !== query)].slice(0, MOST));
}

/** Addresses of searches, the newest first. */
export const saved = () => listed("search.saved");

/** @param {string} address */
export function toggleSaved(address) {
  const before = saved();
  keep("search.saved", before.includes(address)
    ? before.filter((one) => one !== address) : [address, ...before]);
}

/** @param {string} one a query or an address */
export function forget(one) {
  for (const name of ["search.recent", "search.saved"]) {
    keep(name, listed(name).filter((other) => other !== one));
  }
}

/** Whether this remark was put away. @param {string} remark */
export const isAway = (remark) => listed("search.away").includes(remark);

/** @param {string} remark */
export const putAway = (remark) => keep("search.away", [remark]);

// What pages keep in the browser; where storage is blocked or full, they work without.

/** Return what is kept under a name; null if there is nothing. `store`: "localStorage" or "sessionStorage". */
export function kept(store, name) {
  try {
    return window[store].getItem(name);
  } catch {
    return null;
  }
}

/** Keep a text under a name; return whether that was possible. */
export function keep(store, name, text) {
  try {
    window[store].setItem(name, text);
    return true;
  } catch {
    return false;
  }
}

/** Forget what is kept under a name. */
export function forget(store, name) {
  try {
    window[store].removeItem(name);
  } catch {
    // then nothing is kept
  }
}

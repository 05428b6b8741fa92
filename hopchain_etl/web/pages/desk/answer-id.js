/** Return a random id (UUID) for an answer. Browsers have `crypto.randomUUID` only with https or on localhost. */
export function answerId() {
  const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0"));
  return hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

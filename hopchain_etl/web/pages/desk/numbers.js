// What a person types as a number, as the server takes it.

const WIDE = /[＋-９]/gu; // digits, signs and points of East Asian keyboards; each stands 0xfee0 after the plain one
// A comma for the decimal point: keyboards of phones have only the one of their language. Before exactly three digits it
// may separate thousands, unless there is only a zero before it.
const COMMA = /^[-−+]?(0,\d+|\d+,(\d{1,2}|\d{4,}))$/;

/** Return a number as plain digits with a point; what may mean something else stays as it is, and is refused. */
export function plainNumber(text) {
  const narrow = text.trim().replace(WIDE, (one) => String.fromCharCode(one.charCodeAt(0) - 0xfee0)).replace("。", ".");
  return (COMMA.test(narrow) ? narrow.replace(",", ".") : narrow).replace("−", "-").replace(/^\+/, "");
}

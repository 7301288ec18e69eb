// The page's words. English is written where it is used: `t("Deliveries")`; the other languages are in words/.
import { german } from "../words/de.js";
import { keep, kept } from "./kept.js";

const LANGUAGES = { en: {}, de: german };

let chosen = kept("language") ?? navigator.language.slice(0, 2);
if (!(chosen in LANGUAGES)) chosen = "en";
document.documentElement.lang = chosen;

export const language = () => chosen;

/** How times and numbers are written: as the browser is set, where that is the page's language. */
export const locale = navigator.language.startsWith(chosen) ? navigator.language : chosen;

export function setLanguage(name) {
  keep("language", name);
  location.reload();
}

/** A text in the page's language; `{name}` stands for what `values` holds. */
export function t(text, values) {
  const found = LANGUAGES[chosen][text] ?? text;
  return values ? found.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole)) : found;
}

// Markdown of models, people and files as safe HTML: no scripts, no styles, no forms, nothing loaded from elsewhere.
import { marked } from "../vendor/marked.js";
import DOMPurify from "../vendor/purify.js";

const TAGS = [
  ...["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "code", "pre", "blockquote"],
  ...["ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "input", "sup", "sub"],
];
const LINKS = /^(?:https?:|mailto:|tel:)/i;

DOMPurify.addHook("afterSanitizeAttributes", (element) => {
  if (element.tagName === "A") {
    if (!LINKS.test(element.getAttribute("href") ?? "")) element.removeAttribute("href");
    element.setAttribute("target", "_blank");
    element.setAttribute("rel", "noopener noreferrer nofollow");
  }
  if (element.tagName === "INPUT") {
    // The box of a list of tasks; no other field is left.
    if (element.getAttribute("type") !== "checkbox") element.remove();
    else element.setAttribute("disabled", "");
  }
});

marked.use({
  gfm: true,
  breaks: true,
  renderer: {
    // A picture from elsewhere would tell its server who reads: it becomes a link.
    image({ href, text }) {
      return `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`;
    },
    html({ text }) {
      return escapeHtml(text);
    },
  },
});

export function escapeHtml(text) {
  return String(text).replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

/** Safe HTML, as the value of `dangerouslySetInnerHTML`. */
export function rendered(text) {
  const made = marked.parse(text, { async: false });
  return {
    __html: DOMPurify.sanitize(made, {
      ALLOWED_TAGS: TAGS,
      ALLOWED_ATTR: ["href", "class", "align", "start", "type", "checked", "disabled", "target", "rel"],
      ALLOW_DATA_ATTR: false,
    }),
  };
}

/**
 * Where a text that still grows can be cut so that what is before the cut is rendered once: behind the last empty line that is not within a
 * fence of code.
 */
export function settledLength(text) {
  let fence = "";
  let settled = 0;
  let at = 0;
  for (const line of text.split("\n")) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && !fence) fence = mark;
    else if (mark && mark[0] === fence[0] && mark.length >= fence.length) fence = "";
    at += line.length + 1;
    if (!fence && line.trim() === "" && at <= text.length) settled = at;
  }
  return settled;
}

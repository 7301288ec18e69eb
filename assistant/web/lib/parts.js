// The parts that every view is made of.
import { ApiError } from "./api.js";
import { classes, html, useEffect, useLayoutEffect, useRef, useState } from "./dom.js";
import { longTime, shortTime } from "./format.js";
import { Icon } from "./icons.js";
import { t } from "./words.js";

/** The head of a view, with its actions at the right. */
export function Head({ title, about, children }) {
  return html`
    <header class="head">
      <div>
        <h1>${title}</h1>
        ${about && html`<p class="about">${about}</p>`}
      </div>
      <div class="actions">${children}</div>
    </header>`;
}

/** A button. `busy` while what it does is under way: `act` may return a promise; what that raises is shown under the button. */
export function Act({ act, children, icon, kind = "", label, disabled, confirm, type = "button" }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const here = useRef(true);
  useEffect(() => () => (here.current = false), []);
  const press = async () => {
    if (busy || (confirm && !window.confirm(confirm))) return;
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (failure) {
      if (here.current) setError(failure);
    } finally {
      if (here.current) setBusy(false);
    }
  };
  return html`<span class="act">
    <button type=${type} class=${classes("button", kind, { bare: !children })} disabled=${disabled || busy} aria-busy=${busy}
      aria-label=${label} title=${label} onClick=${press}>
      ${icon && html`<${Icon} name=${icon} />`}${children}
    </button>
    ${error && html`<${Problem} error=${error} />`}
  </span>`;
}

/** What went wrong, in words that say what to do. */
export function Problem({ error, again }) {
  if (!error) return null;
  const offline = error instanceof ApiError && error.status === 0;
  return html`<p class="problem" role="alert">
    <${Icon} name="warn" />
    <span>${offline ? t("The server can't be reached. This page tries again by itself.") : error.message || String(error)}</span>
    ${again && !offline && html`<button class="link" type="button" onClick=${again}>${t("Try again")}</button>`}
  </p>`;
}

/** What a view shows until its data is there, when there is none, and when it can't be had. */
export function Loaded({ data, error, again, empty, children }) {
  if (error && data === null) return html`<${Problem} error=${error} again=${again} />`;
  if (data === null) return html`<p class="waiting" aria-busy="true">${t("Loading …")}</p>`;
  if (Array.isArray(data) && data.length === 0) return html`<p class="empty">${empty}</p>`;
  return html`${error && html`<${Problem} error=${error} />`}${children}`;
}

export function When({ at }) {
  return at === null || at === undefined ? null : html`<time title=${longTime(at)}>${shortTime(at)}</time>`;
}

/** A word with a colour: `kind` is good, bad, wait or plain. */
export function Badge({ kind = "plain", children }) {
  return html`<span class=${`badge ${kind}`}>${children}</span>`;
}

/** A choice between a few, as pressed buttons: `options` are pairs of value and label. */
export function Choice({ value, options, onChange, label }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(
      ([each, shown]) =>
        html`<button type="button" aria-pressed=${each === value} onClick=${() => onChange(each)}>${shown}</button>`,
    )}
  </div>`;
}

/** A labelled field of a form. */
export function Field({ label, hint, children }) {
  return html`<label class="field"><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label>`;
}

/** A dialog above the page; Escape and a press beside it close it. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef();
  useLayoutEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} aria-label=${title} onClose=${onClose} onClick=${(event) => event.target === dialog.current && onClose()}>
    <div class="dialog">
      <header><h2>${title}</h2><${Act} icon="close" kind="quiet" label=${t("Close")} act=${onClose} /></header>
      ${children}
    </div>
  </dialog>`;
}

/**
 * Rows under heads; a row opens what `detail` makes of it. `columns`: `{head, cell(row), kind?}`; kind "wide" takes the room that is left,
 * "right" is a number, "minor" is left out on a narrow screen.
 */
export function Table({ rows, columns, detail, keyOf = (row) => row.id, label }) {
  const [open, setOpen] = useState(null);
  return html`<div class="scroll"><table class="list" aria-label=${label}>
    <thead><tr>${columns.map((each) => html`<th class=${each.kind ?? ""} scope="col">${each.head}</th>`)}</tr></thead>
    <tbody>
      ${rows.map((row) => {
        const key = keyOf(row);
        const isOpen = open === key;
        const toggle = () => setOpen(isOpen ? null : key);
        return html`
          <tr key=${key} class=${classes({ opens: detail, open: isOpen })} onClick=${detail && ((event) => event.target.closest("button, a, input, select") || toggle())}>
            ${columns.map(
              (each, place) => html`<td class=${each.kind ?? ""} data-head=${each.head}>
                ${detail && place === 0
                  ? html`<button type="button" class="opener" aria-expanded=${isOpen} onClick=${toggle}>${each.cell(row)}</button>`
                  : each.cell(row)}
              </td>`,
            )}
          </tr>
          ${isOpen && html`<tr key=${`${key}:open`} class="detail"><td colspan=${columns.length}>${detail(row)}</td></tr>`}`;
      })}
    </tbody>
  </table></div>`;
}

/** Pairs of a name and a value; those without a value are left out. */
export function Facts({ of }) {
  return html`<dl class="facts">
    ${of.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/**
 * A list that is read page by page: `{rows, error, more, again}`. `load(before)` returns the API's page, `{data, has_more}`; `more` is a function while
 * there are further ones. Uses `useChanges` of the caller: call `again` when something changed.
 */
export function usePages(load, keys = []) {
  const [state, set] = useState({ rows: null, hasMore: false, error: null });
  const asked = useRef(0);
  const read = async (before, kept) => {
    const mine = ++asked.current;
    try {
      const page = await load(before);
      if (mine === asked.current) set({ rows: [...kept, ...page.data], hasMore: page.has_more, error: null });
    } catch (error) {
      if (mine === asked.current) set((now) => ({ ...now, error }));
    }
  };
  useEffect(() => {
    set({ rows: null, hasMore: false, error: null });
    read(undefined, []);
    return () => {
      asked.current++;
    };
  }, keys);
  const { rows, hasMore, error } = state;
  return { rows, error, again: () => read(undefined, []), more: hasMore ? () => read(rows.at(-1).id, rows) : null };
}

export function More({ more }) {
  return more && html`<p class="more"><${Act} act=${more} kind="quiet">${t("Show older ones")}</${Act}></p>`;
}

// The list of sessions: search, open, rename, export, delete.
import { api, post, query, remove, step } from "../../lib/api.js";
import { useChanges } from "../../lib/changes.js";
import { html, useEffect, useRef, useState } from "../../lib/dom.js";
import { dayName, longTime } from "../../lib/format.js";
import { Icon } from "../../lib/icons.js";
import { Act, Dialog, Field, Loaded, More, usePages } from "../../lib/parts.js";
import { t } from "../../lib/words.js";
import { exported } from "./turn.js";

const TYPING = 200;

export function Sessions({ now, onNew }) {
  const [typed, setTyped] = useState("");
  const [search, setSearch] = useState("");
  const [chosen, choose] = useState(null);
  useEffect(() => {
    const timer = setTimeout(() => setSearch(typed.trim()), TYPING);
    return () => clearTimeout(timer);
  }, [typed]);
  const { rows, error, again, more } = usePages((before) => api(query("v1/sessions", { limit: 50, before, search })), [search]);
  useChanges(["sessions", "connection"], again);
  let day = "";
  return html`
    <div class="sessions">
      <div class="tools">
        <button type="button" class="button main" onClick=${onNew}><${Icon} name="plus" />${t("New chat")}</button>
        <input type="search" placeholder=${t("Search")} aria-label=${t("Search sessions")} value=${typed} onInput=${(event) => setTyped(event.target.value)} />
      </div>
      <div class="rows">
        <${Loaded} data=${rows} error=${error} again=${again} empty=${search ? t("Nothing found.") : t("No conversations yet.")}>
          <ul>
            ${rows?.map((session) => {
              const named = dayName(session.updated);
              const isNext = named !== day;
              day = named;
              return html`${isNext && html`<li class="day">${named}</li>`}
                <li key=${session.id} class="session">
                  <a href=${`#/chat/${encodeURIComponent(session.id)}`} aria-current=${session.id === now ? "true" : undefined} title=${longTime(session.updated)}>
                    ${session.running && html`<span class="pulse" aria-label=${t("at work")}></span>`}<span>${session.title || session.id}</span>
                  </a>
                  <button type="button" class="button quiet bare" aria-label=${t("More about {name}", { name: session.title || session.id })} onClick=${() => choose(session)}>
                    <${Icon} name="more" />
                  </button>
                </li>`;
            })}
          </ul>
          <${More} more=${more} />
        </${Loaded}>
      </div>
      ${chosen && html`<${About} session=${chosen} isOpen=${chosen.id === now} onClose=${() => choose(null)} again=${again} />`}
    </div>`;
}

function About({ session, isOpen, onClose, again }) {
  const path = `v1/sessions/${step(session.id)}`;
  const [title, setTitle] = useState(session.title);
  const field = useRef();
  const rename = async (event) => {
    event?.preventDefault();
    await post(path, { title: title.trim() });
    again();
    onClose();
  };
  const save = async () => {
    const blob = new Blob([await exported(session.id)], { type: "text/markdown" });
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${session.title || session.id}.md`.replace(/[/\\:]/g, "-") });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  const drop = async () => {
    await remove(path);
    again();
    onClose();
    if (isOpen) location.hash = "#/chat";
  };
  return html`<${Dialog} title=${t("Conversation")} onClose=${onClose}>
    <form onSubmit=${(event) => event.preventDefault()}>
      <${Field} label=${t("Title")}><input ref=${field} maxlength="200" value=${title} onInput=${(event) => setTitle(event.target.value)} /></${Field}>
      <div class="actions">
        <${Act} kind="main" act=${rename} type="submit">${t("Rename")}</${Act}>
        <${Act} icon="export" act=${save}>${t("Export")}</${Act}>
        <${Act} icon="trash" kind="danger" act=${drop} confirm=${t("Delete this conversation and its files for good?")}>${t("Delete")}</${Act}>
      </div>
    </form>
  </${Dialog}>`;
}

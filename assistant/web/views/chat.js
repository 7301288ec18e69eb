// The chat: sessions at the left, one of them open.
import { html, useCallback, useState } from "../lib/dom.js";
import { Composer } from "./chat/composer.js";
import { Sessions } from "./chat/sessions.js";
import { Thread } from "./chat/thread.js";
import { newSessionId, useThread } from "./chat/turn.js";
import { Problem } from "../lib/parts.js";
import { t } from "../lib/words.js";

export function Chat({ me, rest, navigation, foot }) {
  const [fresh, setFresh] = useState(newSessionId);
  const id = rest || fresh;
  const begin = useCallback(() => {
    setFresh(newSessionId());
    location.hash = "#/chat";
    document.getElementById("words")?.focus();
  }, []);
  return html`
    <aside class="side">
      ${navigation}
      <${Sessions} now=${rest} onNew=${begin} />
      ${foot}
    </aside>
    <${Conversation} key=${id} id=${id} isNew=${!rest} me=${me} />`;
}

function Conversation({ id, isNew, me }) {
  const thread = useThread(id, isNew);
  const [dropping, setDropping] = useState(false);
  const [dropped, setDropped] = useState([]);
  const over = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    setDropping(event.type !== "dragleave" || event.currentTarget.contains(event.relatedTarget));
  };
  const drop = (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    setDropping(false);
    setDropped([...event.dataTransfer.files]);
  };
  const blank = thread.messages.length === 0 && !thread.live && !thread.loading;
  return html`<main id="main" class="conversation" tabindex="-1" onDragOver=${over} onDragLeave=${over} onDrop=${drop}>
    ${thread.loadError
      ? html`<${Problem} error=${thread.loadError} again=${thread.again} />`
      : blank
        ? html`<div class="blank"><h1>${me.person.name ? t("How can I help, {name}?", { name: me.person.name }) : t("How can I help?")}</h1><p>${t("Ask, drop a file, or say what should be done later.")}</p></div>`
        : html`<${Thread} thread=${thread} />`}
    <${Composer} thread=${thread} dropped=${dropped} />
    ${dropping && html`<div class="drop" aria-hidden="true">${t("Drop the files here")}</div>`}
  </main>`;
}

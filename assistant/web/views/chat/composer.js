// Where a message is written: words, and files by picker, paste or drop, sent while the words are typed.
import { upload } from "../../lib/api.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../lib/dom.js";
import { size } from "../../lib/format.js";
import { Icon } from "../../lib/icons.js";
import { keep, kept } from "../../lib/kept.js";
import { Problem } from "../../lib/parts.js";
import { t } from "../../lib/words.js";

let counted = 0;

export function Composer({ thread, dropped }) {
  const draft = `draft.${thread.id}`;
  const [text, setText] = useState(() => kept(draft) ?? "");
  const [files, setFiles] = useState([]);
  const [error, setError] = useState(null);
  const field = useRef();
  const picker = useRef();
  const busy = Boolean(thread.live);

  useLayoutEffect(() => {
    field.current.style.height = "auto";
    field.current.style.height = `${Math.min(field.current.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(() => keep(draft, text || null), [text]);
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) field.current.focus();
  }, []);
  useEffect(() => add(dropped), [dropped]);

  const change = (key, with_) => setFiles((now) => now.map((each) => (each.key === key ? { ...each, ...with_ } : each)));
  const add = (chosen) => {
    for (const file of chosen) {
      const key = ++counted;
      const abort = new AbortController();
      setFiles((now) => [...now, { key, name: file.name, size: file.size, share: 0, abort }]);
      upload(file, (share) => change(key, { share }), abort.signal).then(
        (stored) => change(key, { share: 1, stored }),
        (failure) => failure.name !== "AbortError" && change(key, { failure }),
      );
    }
  };
  const drop = (each) => {
    each.abort.abort();
    setFiles((now) => now.filter(({ key }) => key !== each.key));
    field.current.focus();
  };
  const waits = files.some(({ stored, failure }) => !stored && !failure);
  const ready = !busy && !waits && (text.trim() || files.some(({ stored }) => stored));
  const send = async () => {
    if (!ready) return;
    const words = text;
    const sent = files;
    setText("");
    setFiles([]);
    setError(null);
    try {
      await thread.send(words, sent.flatMap(({ stored }) => stored ?? []));
    } catch (failure) {
      setText((now) => now || words);
      setFiles((now) => (now.length ? now : sent));
      setError(failure);
    }
  };
  const typed = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape" && busy) thread.stop();
  };
  const paste = (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    add(pasted);
  };
  return html`<form class="composer" onSubmit=${(event) => (event.preventDefault(), send())}>
    <${Problem} error=${error} />
    ${files.length > 0 &&
    html`<ul class="files">
      ${files.map(
        (each) => html`<li key=${each.key} class=${each.failure ? "failed" : ""}>
          <span class="name" title=${each.failure?.message}>${each.name}</span>
          ${each.failure
            ? html`<span>${each.failure.message || t("The server can't be reached.")}</span>`
            : each.stored
              ? html`<small>${size(each.size)}</small>`
              : html`<progress max="1" value=${each.share} aria-label=${t("Sending {name}", { name: each.name })}></progress>`}
          <button type="button" class="button quiet bare" aria-label=${t("Remove {name}", { name: each.name })} onClick=${() => drop(each)}><${Icon} name="close" size=${12} /></button>
        </li>`,
      )}
    </ul>`}
    <div class="writing">
      <button type="button" class="button quiet bare" aria-label=${t("Add files")} title=${t("Add files")} onClick=${() => picker.current.click()}><${Icon} name="clip" /></button>
      <input ref=${picker} type="file" multiple hidden onChange=${(event) => (add([...event.target.files]), (event.target.value = ""))} />
      <textarea id="words" ref=${field} rows="1" placeholder=${t("Message nanobot")} aria-label=${t("Message")} value=${text}
        onInput=${(event) => setText(event.target.value)} onKeyDown=${typed} onPaste=${paste}></textarea>
      ${busy || thread.running
        ? html`<button type="button" class="button round" aria-label=${t("Stop")} title=${t("Stop")} onClick=${thread.stop}><${Icon} name="stop" /></button>`
        : html`<button class="button main round" disabled=${!ready} aria-label=${t("Send")} title=${t("Send")}><${Icon} name="send" /></button>`}
    </div>
  </form>`;
}

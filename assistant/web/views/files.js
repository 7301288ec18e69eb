// Files that were sent: in messages that name them, until they are deleted.
import { api, query, remove, request, step, upload } from "../lib/api.js";
import { html, useEffect, useRef, useState } from "../lib/dom.js";
import { size } from "../lib/format.js";
import { Icon } from "../lib/icons.js";
import { Act, Head, Loaded, More, Problem, Table, When } from "../lib/parts.js";
import { t } from "../lib/words.js";

export function View() {
  const [state, set] = useState({ rows: null, hasMore: false, error: null });
  const [sending, setSending] = useState(null);
  const picker = useRef();
  const read = async (after, kept = []) => {
    try {
      const page = await api(query("v1/files", { after, limit: 100, order: "desc" }));
      set({ rows: [...kept, ...page.data], hasMore: page.has_more, error: null });
    } catch (error) {
      set((now) => ({ ...now, error }));
    }
  };
  useEffect(() => {
    read();
  }, []);
  const add = async (files) => {
    for (const file of files) {
      setSending({ name: file.name, share: 0 });
      try {
        await upload(file, (share) => setSending({ name: file.name, share }));
      } catch (error) {
        set((now) => ({ ...now, error }));
      }
    }
    setSending(null);
    await read();
  };
  const save = async (file) => {
    const blob = await (await request(`v1/files/${step(file.id)}/content`)).blob();
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: file.filename });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  const columns = [
    { head: t("Name"), kind: "wide", cell: (row) => row.filename },
    { head: t("Size"), kind: "right", cell: (row) => size(row.bytes) },
    { head: t("Time"), kind: "minor", cell: (row) => html`<${When} at=${row.created_at} />` },
    {
      head: "",
      cell: (row) => html`<div class="actions">
        <${Act} icon="down" kind="quiet" label=${t("Save {name}", { name: row.filename })} act=${() => save(row)} />
        <${Act} icon="trash" kind="quiet" label=${t("Delete {name}", { name: row.filename })} confirm=${t("Delete this file for good?")}
          act=${async () => (await remove(`v1/files/${step(row.id)}`), await read())} />
      </div>`,
    },
  ];
  const { rows, hasMore, error } = state;
  return html`
    <${Head} title=${t("Files")} about=${t("Files that you sent to the server.")}>
      <button type="button" class="button main" onClick=${() => picker.current.click()}><${Icon} name="plus" />${t("Add files")}</button>
      <input ref=${picker} type="file" multiple hidden onChange=${(event) => (add([...event.target.files]), (event.target.value = ""))} />
    </${Head}>
    ${sending && html`<p class="tools"><progress max="1" value=${sending.share} aria-label=${t("Sending {name}", { name: sending.name })}></progress> ${sending.name}</p>`}
    ${rows !== null && html`<${Problem} error=${error} />`}
    <${Loaded} data=${rows} error=${rows === null ? error : null} again=${() => read()} empty=${t("No files yet.")}>
      <${Table} label=${t("Files")} rows=${rows} columns=${columns} />
      <${More} more=${hasMore ? () => read(rows.at(-1).id, rows) : null} />
    </${Loaded}>`;
}

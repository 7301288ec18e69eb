// A workflow as a graph: each node behind those that it needs, coloured by what became of it.
import { html } from "../lib/dom.js";
import { t } from "../lib/words.js";

const WIDTH = 148;
const HEIGHT = 40;
const GAP = 36;
const KINDS = { running: "wait", completed: "good", failed: "bad", cancelled: "plain" };

/** The column of each node: one behind the last that it needs. */
function columns(nodes) {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const at = new Map();
  const place = (id, above = new Set()) => {
    if (at.has(id)) return at.get(id);
    if (above.has(id)) return 0;
    const needs = (known.get(id)?.needs ?? []).filter((each) => known.has(each));
    const column = needs.length ? 1 + Math.max(...needs.map((each) => place(each, new Set(above).add(id)))) : 0;
    at.set(id, column);
    return column;
  };
  for (const { id } of nodes) place(id);
  return at;
}

export function Graph({ nodes, states }) {
  if (!nodes.length) return null;
  const column = columns(nodes);
  const taken = new Map();
  const spot = new Map(
    nodes.map(({ id }) => {
      const x = column.get(id);
      const y = taken.get(x) ?? 0;
      taken.set(x, y + 1);
      return [id, { x: x * (WIDTH + GAP) + 1, y: y * (HEIGHT + 16) + 1 }];
    }),
  );
  const width = (Math.max(...column.values()) + 1) * (WIDTH + GAP) - GAP + 2;
  const height = Math.max(...taken.values()) * (HEIGHT + 16) - 14;
  const edges = nodes.flatMap(({ id, needs }) => needs.filter((each) => spot.has(each)).map((each) => [spot.get(each), spot.get(id)]));
  const told = nodes.map(({ id }) => `${id}: ${states.get(id)?.status ?? t("waits")}`).join(", ");
  return html`<div class="graph"><svg width=${width} height=${height} role="img" aria-label=${told}>
    ${edges.map(([from, to]) => {
      const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
      return html`<path class="edge" d=${`M${x1} ${y1}C${x1 + GAP / 2} ${y1} ${x2 - GAP / 2} ${y2} ${x2} ${y2}`} />`;
    })}
    ${nodes.map(({ id, kind }) => {
      const { x, y } = spot.get(id);
      const state = states.get(id);
      return html`<g class=${`node ${KINDS[state?.status] ?? ""}`} transform=${`translate(${x} ${y})`}>
        <title>${[id, kind, state?.error].filter(Boolean).join(" · ")}</title>
        <rect width=${WIDTH} height=${HEIGHT} rx="6" />
        <text x="10" y="17">${id.length > 18 ? `${id.slice(0, 17)}…` : id}</text>
        <text class="kind" x="10" y="32">${kind}</text>
      </g>`;
    })}
  </svg></div>`;
}

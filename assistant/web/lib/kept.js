// Small choices that the browser keeps: language, look, drafts. A browser that keeps nothing forgets them with the page.
const fallback = new Map();

export function kept(name) {
  try {
    return localStorage.getItem(`nanobot.${name}`);
  } catch {
    return fallback.get(name) ?? null;
  }
}

export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(`nanobot.${name}`);
    else localStorage.setItem(`nanobot.${name}`, value);
  } catch {
    if (value === null) fallback.delete(name);
    else fallback.set(name, value);
  }
}

// Times, sizes and counts as people read them, in the language of the page.
import { locale, t } from "./words.js";

const DAY = 86_400_000;

/** A time of the server: seconds since 1970, or ISO 8601. */
export const toDate = (time) => (typeof time === "number" ? new Date(time * 1000) : new Date(time));

/** "14:05" today, "Mon 14:05" within a week, else the date. */
export function shortTime(time) {
  if (time === null || time === undefined) return "";
  const date = toDate(time);
  const now = new Date();
  const clock = date.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === now.toDateString()) return clock;
  if (Math.abs(now - date) < 6 * DAY) return `${date.toLocaleDateString(locale, { weekday: "short" })} ${clock}`;
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return `${date.toLocaleDateString(locale, { day: "numeric", month: "short", year })} ${clock}`;
}

/** All of it, for a tooltip. */
export const longTime = (time) =>
  time === null || time === undefined ? "" : toDate(time).toLocaleString(locale, { dateStyle: "full", timeStyle: "medium" });

/** "Today", "Yesterday", "12 March". */
export function dayName(time) {
  const date = toDate(time);
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return t("Today");
  today.setDate(today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) return t("Yesterday");
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString(locale, { weekday: "long", day: "numeric", month: "long", year });
}

export function size(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  let place = 0;
  for (; bytes >= 1000 && place < units.length - 1; place++) bytes /= 1000;
  return `${bytes.toLocaleString(locale, { maximumFractionDigits: bytes < 10 && place ? 1 : 0 })} ${units[place]}`;
}

export const count = (number) => Number(number ?? 0).toLocaleString(locale);

export function money(amount, currency = "USD") {
  return Number(amount ?? 0).toLocaleString(locale, { style: "currency", currency, maximumFractionDigits: amount < 1 ? 4 : 2 });
}

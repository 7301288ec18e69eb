// Preact with templates: `html` makes elements, the hooks come along.
import { Fragment, h, render } from "../vendor/preact.js";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import htm from "../vendor/htm.js";

export const html = htm.bind(h);
export { Fragment, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState };

/** The names of classes that hold: `classes("row", { open: isOpen })`. */
export function classes(...given) {
  return given.flatMap((each) => (typeof each === "string" ? each : Object.keys(each).filter((name) => each[name]))).join(" ");
}

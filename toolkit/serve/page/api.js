// Asking the server, and the token that it may want. The token is kept for this tab only, sent as a
// header, and never becomes part of an address.

import { save } from "./dom.js";

const KEY = "toolkit-token";
const PATIENCE = 15000; // milliseconds

/** The server's own words on why it does not answer; `status` is HTTP's, 0 where none came. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Whether a token is known here. */
export const hasToken = () => sessionStorage.getItem(KEY) !== null;

/** The JSON at an address; options: body, type (of the body). Throws Refused. */
export async function ask(path, { body, type } = {}) {
  const headers = {};
  if (type) headers["content-type"] = type;
  if (hasToken()) headers.authorization = `Bearer ${sessionStorage.getItem(KEY)}`;
  let response, text;
  try {
    response = await fetch(path, body === undefined
      ? { headers, signal: AbortSignal.timeout(PATIENCE) }
      : { method: "POST", headers, body });
    text = await response.text();
  } catch {
    throw new Refused("The server does not answer.", 0);
  }
  if (response.ok) return JSON.parse(text);
  throw new Refused(reason(text) ?? `${response.status} ${response.statusText}`, response.status);
}

function reason(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return undefined;
  }
}

/** What `load` gives; while the server wants a token, people are asked for one. */
export async function admitted(load) {
  const [section, content] = ["token", "content"].map((id) => document.getElementById(id));
  for (;;) {
    try {
      const value = await load();
      section.hidden = true;
      content.hidden = false;
      document.getElementById("forget").hidden = !hasToken();
      return value;
    } catch (error) {
      if (error.status !== 401) throw error;
      const refused = hasToken();
      sessionStorage.removeItem(KEY);
      content.hidden = true;
      section.hidden = false;
      sessionStorage.setItem(KEY, await typed(section, refused ? "The server refused this token." : ""));
    }
  }
}

/** The token that someone types; header fields take visible ASCII only. */
function typed(section, problem) {
  const [form, field] = [section.querySelector("form"), section.querySelector("input")];
  const told = section.querySelector(".problem");
  told.textContent = problem;
  field.value = "";
  field.focus();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      const token = field.value.trim();
      if (/^[\x21-\x7e]+$/.test(token)) {
        field.value = "";
        resolve(token);
      } else {
        told.textContent = "A token has letters, digits and signs, but no spaces.";
      }
    };
  });
}

/** Make the button of the head work, and links to openapi.json: they carry no token by themselves. */
export function wireHead() {
  document.getElementById("forget").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    location.reload();
  });
  document.addEventListener("click", async (event) => {
    if (!hasToken() || !event.target.closest?.('a[href="openapi.json"]')) return;
    event.preventDefault();
    const document_ = await admitted(() => ask("openapi.json"));
    save("openapi.json", JSON.stringify(document_, null, 2), "application/json");
  });
}

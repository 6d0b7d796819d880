// The rescue page's script: no library and no build, so that nothing of the page proper is needed.
"use strict";

const find = (selector) => document.querySelector(selector);
const say = (text) => (find("#said").textContent = text);

/** Asks the daemon; an error that it explains is thrown in its words. */
async function ask(path, options = {}) {
  const response = await fetch(`/api/v1/${path}`, options);
  if (!response.ok) {
    const explained = await response.json().catch(() => undefined);
    throw new Error(explained?.error.message ?? `the appliance answered ${response.status}`);
  }
  return response;
}

const post = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** Does `work` when a form is sent, says what came of it, and lets nobody send it twice meanwhile. */
function on(form, work) {
  find(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find(`${form} button`);
    button.disabled = true;
    try {
      say((await work(new FormData(find(form)))) ?? "");
    } catch (error) {
      say(error.message);
    }
    button.disabled = false;
  });
}

/** Shows what whoever is here may do. */
async function show() {
  const { claimed, user } = await (await ask("session")).json();
  find("#code").hidden = claimed;
  find("#entry").hidden = user !== null;
  find("main").hidden = user === null;
}

on("#entry", async (form) => {
  // A phone's keyboard puts a space behind a word; a password alone may have one.
  const [code, user] = ["code", "user"].map((name) => form.get(name).trim());
  const known = { user, password: form.get("password") };
  await (code ? post("claim", { code, ...known }) : post("login", known));
  await show();
});

on("#update", async (form) => {
  say("Sending the file");
  await ask("update", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: form.get("bundle") });
  for (;;) {
    const { update } = await (await ask("system")).json();
    if (update.phase === "ready") return "Installed: restart to use it.";
    if (update.phase === "failed") return `Not installed: ${update.message}`;
    say(`${update.phase}: ${update.percent} % ${update.message}`);
    await new Promise((done) => setTimeout(done, 1000));
  }
});

on("#restart", async () => {
  await ask("restart", { method: "POST" });
  return "Restarting: open this page again in a minute.";
});

on("#logs", async (form) => {
  find("#log").textContent = await (await ask(`logs?service=${form.get("service")}`)).text();
});

show().catch((error) => say(error.message));

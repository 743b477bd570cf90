// The page for people who look: it asks the API as any caller does, with the public development
// token, which is taken on the loopback interface only.
"use strict";

(() => {
  const TOKEN = "dev-service-token";
  const READERS = 600;
  const ASK_AGAIN_MS = 350;
  const STEPS = {
    drain: "Wait for writes under way",
    collect: "Collect what to look for afterwards",
    memory: "Overwrite and delete the memories",
    caches: "Empty the caches",
    keys: "Destroy the reader's key",
    neighbours: "Take the counts back",
    rows: "Delete the rows",
    maintenance: "Rewrite the files",
    probe: "Search every byte, with a control",
  };
  const at = (id) => document.getElementById(id);
  const [userField, list, note, trouble] = ["user", "list", "list-note", "trouble"].map(at);

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  async function ask(path, body) {
    const headers = { Authorization: `Bearer ${TOKEN}` };
    if (body) headers["Content-Type"] = "application/json";
    if (path === "/forget") headers["Idempotency-Key"] = crypto.randomUUID();
    const response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail || response.statusText);
    return answer;
  }

  // Runs what a button does: once at a time, and with what goes wrong on the page.
  function on(target, event, run) {
    target.addEventListener(event, async (happened) => {
      happened.preventDefault();
      const button = happened.submitter || (target.tagName === "BUTTON" ? target : null);
      if (button) button.disabled = true;
      trouble.hidden = true;
      try {
        await run();
      } catch (error) {
        trouble.textContent = `That did not work: ${error.message}`;
        trouble.hidden = false;
      } finally {
        if (button) button.disabled = false;
      }
    });
  }

  // --- The list ---------------------------------------------------------------------------

  const recommend = (user) => ask("/recommend", { user, n: 6 });

  function show(found) {
    list.replaceChildren(...found.items.map(book));
    note.textContent = found.personalised
      ? "Each book says which of the reader's own memories it rests on."
      : "Nothing is known of this reader: this is the list that a stranger gets.";
  }

  function book(item) {
    const entry = element("li");
    const because = item.because.map((one) => one.title).join(" and ");
    const dislike = element("button", "Not for me", "quiet");
    dislike.type = "button";
    dislike.setAttribute("aria-label", `Not for me: ${item.title}`);
    entry.append(element("span", item.title, "title"), dislike,
      element("span", because ? `because of ${because}` : "popular with others", "why"));
    on(dislike, "click", async () => {
      const event = { event_id: crypto.randomUUID(), user: userField.value, item_id: item.item_id,
        kind: "dislike", occurred_at: new Date().toISOString() };
      await ask("/interactions", [event]);
      show(await recommend(userField.value));
      at("list-heading").focus();
    });
    return entry;
  }

  async function visit(user) {
    userField.value = user;
    for (const id of ["erasure", "certificate", "forget-topic"]) at(id).hidden = true;
    at("preview").replaceChildren();
    const found = await recommend(user);
    show(found);
    return found.personalised;
  }

  const named = (number) => `reader-${String(number).padStart(3, "0")}`;
  const someone = () => named(1 + Math.floor(Math.random() * READERS));

  async function first() {
    for (let number = 1; number <= 20; number += 1) if (await visit(named(number))) return;
  }

  // --- Forgetting -------------------------------------------------------------------------

  const topicScope = () => ({ kind: "topic", text: at("topic").value });

  async function preview() {
    const found = await ask("/forget/preview", { user: userField.value, scope: topicScope() });
    const titles = found.memories.slice(0, 6).map((one) => element("li", one.title || "a note in their own words"));
    const listed = element("ul");
    listed.append(...titles);
    if (found.n_memories > titles.length) listed.append(element("li", `and ${found.n_memories - titles.length} more`));
    const count = found.n_memories === 1 ? "One memory" : `${found.n_memories || "No"} memories`;
    at("preview").replaceChildren(element("p", `${count} would go, and the topic would be recommended no more.`), listed);
    at("forget-topic").hidden = false;
  }

  async function forget(scope) {
    const user = userField.value;
    const accepted = await ask("/forget", { user, scope });
    at("certificate").hidden = true;
    at("erasure").hidden = false;
    at("erasure-note").textContent = "202 Accepted: from here on, no answer rests on it. The list is the new one already.";
    drawSteps([]);
    at("erasure-heading").focus();
    show(await recommend(user));
    await follow(accepted, user);
  }

  function drawSteps(done) {
    const finished = new Map(done.map((step) => [step.step, step]));
    at("steps").replaceChildren(...Object.entries(STEPS).map(([name, text]) => {
      const step = finished.get(name);
      const entry = element("li", text, step ? "ok" : "");
      if (step) entry.prepend(element("span", `${Math.round(step.duration_ms)} ms`, "spent"));
      return entry;
    }));
  }

  async function follow(accepted, user) {
    let known = -1;
    for (;;) {
      const found = await ask(`/forget/${accepted.request_id}`);
      if (found.steps.length !== known) drawSteps(found.steps);
      known = found.steps.length;
      if (found.certificate) return certified(found.certificate, { user, salt: accepted.receipt.salt });
      if (["rejected", "failed"].includes(found.status)) throw new Error(`the erasure is ${found.status}`);
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }

  async function certified(certificate, { user, salt }) {
    const checks = await window.checkCertificate(certificate, { user, salt });
    const isWhole = checks.every((check) => check.isOk);
    at("outcome").className = `notice ${isWhole ? "ok" : "wrong"}`;
    at("outcome").replaceChildren(
      element("strong", isWhole ? "Whole." : "Not verified."),
      isWhole ? "What was to be forgotten is erased, searched for and recorded." : "Something does not fit.");
    at("checks").replaceChildren(...checks.map((check) =>
      element("li", `${check.name}: ${check.text}`, check.isOk ? "ok" : "wrong")));
    const file = new Blob([window.checkCertificate.canonical(certificate)], { type: "application/json" });
    at("download").href = URL.createObjectURL(file);
    at("certificate").hidden = false;
    at("erasure-note").textContent = "Done. There is a certificate.";
  }

  on(at("who"), "submit", () => visit(userField.value));
  on(at("another"), "click", () => visit(someone()));
  on(at("topic-form"), "submit", preview);
  on(at("forget-topic"), "click", () => forget(topicScope()));
  on(at("forget-all"), "click", () => forget({ kind: "all" }));
  first().catch((error) => {
    trouble.textContent = `The service does not answer as expected: ${error.message}`;
    trouble.hidden = false;
  });
})();

// Checks the whole audit log in this browser, believing nothing that the service says about it:
// every leaf's hash, the order, the Merkle root (RFC 9162, section 2.1), the Ed25519 signature of the
// checkpoint (c2sp.org/signed-note), and that the log continues what this browser saw last.
"use strict";

(() => {
  const panel = document.getElementById("verify");
  if (!panel || !window.fetch) return;
  const start = document.getElementById("verify-start");
  const forget = document.getElementById("verify-forget");
  const pinned = document.getElementById("pinned");
  const progress = document.getElementById("verify-progress");
  const result = document.getElementById("verify-result");
  const MEMORY = "lethe-audit-log";
  const CHUNK = 4096; // leaves hashed at once: enough to keep the browser's threads busy
  const MOST_NAMED = 8;
  const LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/;
  const encoder = new TextEncoder();

  // What was checked is not as it should be; the message names it.
  class Wrong extends Error {}
  // Nothing can be concluded here; the message says why.
  class Unsure extends Error {}

  const bytesOf = (base64) => {
    try {
      const data = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      if (btoa(String.fromCharCode(...data)) === base64) return data;
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
    }
    throw new Wrong("not base64");
  };
  const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const same = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);
  const sha256 = async (data) => new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  const joined = (...parts) => {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    return whole;
  };

  // --- Keys and notes ---------------------------------------------------------------------

  const keyId = async (name, material) =>
    (await sha256(joined(encoder.encode(name + "\n"), material))).slice(0, 4);

  async function parseKey(text) {
    const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text);
    const material = match ? bytesOf(match[3]) : new Uint8Array();
    if (material[0] !== 1 || hex(await keyId(match[1], material)) !== match[2]) {
      throw new Wrong(`not a key of the form name+id+base64: ${text.slice(0, 80)}`);
    }
    return { text, name: match[1], id: match[2], material };
  }

  // Returns the keys of the list that signed; one whose signature does not fit is named.
  async function signersOf(note, keys) {
    const at = note.lastIndexOf("\n\n");
    if (at < 0 || !note.endsWith("\n")) throw new Wrong("the note is malformed, or cut off");
    const text = encoder.encode(note.slice(0, at + 1));
    const signers = [];
    for (const line of note.slice(at + 2, -1).split("\n")) {
      const match = LINE.exec(line);
      if (!match) throw new Wrong("a signature line is malformed");
      const data = bytesOf(match[2]);
      for (const key of keys) {
        if (key.name !== match[1] || key.id !== hex(data.slice(0, 4))) continue;
        const imported = await crypto.subtle.importKey(
          "raw", key.material.slice(1), { name: "Ed25519" }, false, ["verify"]);
        if (!(await crypto.subtle.verify({ name: "Ed25519" }, imported, data.slice(4), text))) {
          throw new Wrong(`the signature of ${key.name}+${key.id} does not fit the checkpoint`);
        }
        signers.push(key);
      }
    }
    return signers;
  }

  // Returns the first key and those that a chain of rotations, signed by both keys, leads to.
  async function chainOf(evidence) {
    const current = await parseKey(evidence.key);
    const chain = [];
    for (const note of evidence.rotations) {
      const [header, oldText, newText] = note.split("\n");
      if (header !== "lethe-key-rotation/v1") throw new Wrong("not a statement of key rotation");
      const [old, next] = [await parseKey(oldText), await parseKey(newText)];
      if (!chain.length) chain.push(old);
      const signers = await signersOf(note, [old, next]);
      if (chain[chain.length - 1].text !== old.text || signers.length < 2) {
        throw new Wrong("a key rotation is not signed by both keys");
      }
      chain.push(next);
    }
    if (chain.length && chain[chain.length - 1].text !== current.text) {
      throw new Wrong("the key does not follow from the rotations");
    }
    return chain.length ? chain : [current];
  }

  function parseCheckpoint(note) {
    const lines = note.slice(0, note.lastIndexOf("\n\n") + 1).split("\n");
    if (lines.length !== 4 || lines[3] !== "" || !/^(0|[1-9][0-9]{0,14})$/.test(lines[1])) {
      throw new Wrong("the checkpoint is not the three lines origin, size, root");
    }
    return { origin: lines[0], size: Number(lines[1]), root: bytesOf(lines[2]) };
  }

  // --- The tree ---------------------------------------------------------------------------

  const hashLeaf = (body) => sha256(joined(Uint8Array.of(0), encoder.encode(body)));
  const hashNode = (left, right) => sha256(joined(Uint8Array.of(1), left, right));

  // Level by level from below; a last node without a partner goes up as it is. That is the
  // tree of RFC 9162: its left part is the largest power of two below the size.
  async function rootOf(hashes) {
    if (!hashes.length) return sha256(new Uint8Array());
    let level = hashes;
    while (level.length > 1) {
      const next = [];
      for (let from = 0; from < level.length; from += 2 * CHUNK) {
        const pairs = [];
        for (let n = from; n < Math.min(from + 2 * CHUNK, level.length); n += 2) {
          pairs.push(n + 1 < level.length ? hashNode(level[n], level[n + 1]) : level[n]);
        }
        next.push(...(await Promise.all(pairs)));
      }
      level = next;
    }
    return level[0];
  }

  async function* linesOf(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream("utf-8", { fatal: true })).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      yield* lines;
    }
    if (rest) throw new Wrong("the last leaf is cut off");
  }

  // Reads all leaves; returns their recomputed hashes and what is wrong with them.
  async function readLeaves(size) {
    const response = await ask(`${panel.dataset.leaves}?size=${size}`);
    const [hashes, problems] = [[], []];
    let chunk = [];
    let next = 0;
    const flush = async () => {
      const computed = await Promise.all(chunk.map((line) => hashLeaf(line.leaf)));
      computed.forEach((hash, n) => {
        const { seq, leaf_hash: stated } = chunk[n];
        if (seq > next) problems.push(`leaves were dropped: number ${next} to ${seq - 1}`);
        if (seq < next) problems.push(`leaf ${seq} is in the wrong place: it was moved or inserted`);
        next = seq + 1;
        if (hex(hash) !== stated) problems.push(`leaf ${seq} was changed: it does not have its hash`);
        hashes.push(hash);
      });
      chunk = [];
      progress.value = hashes.length / size;
    };
    try {
      for await (const line of linesOf(response)) {
        chunk.push(parseLine(line, hashes.length + chunk.length));
        if (chunk.length === CHUNK) await flush();
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      problems.push(`the leaves cannot be read on from number ${hashes.length + chunk.length}`);
    }
    await flush();
    if (hashes.length !== size) problems.push(`cut off: ${hashes.length} leaves, the checkpoint has ${size}`);
    return { hashes, problems };
  }

  function parseLine(line, number) {
    try {
      const { leaf, leaf_hash, seq } = JSON.parse(line);
      if (typeof leaf === "string" && typeof leaf_hash === "string" && Number.isInteger(seq)) {
        return { leaf, leaf_hash, seq };
      }
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw new Wrong(`leaf ${number} cannot be read`);
  }

  // --- The checks -------------------------------------------------------------------------

  async function ask(url) {
    const response = await fetch(url, { cache: "no-store", credentials: "same-origin" }).catch(() => {
      throw new Unsure("the service does not answer");
    });
    if (response.ok) return response;
    if (response.status === 401) throw new Unsure("you are signed out: reload the page and sign in");
    const problem = await response.json().catch(() => ({}));
    const told = problem.detail || `the service answered ${response.status}`;
    throw problem.code === "dependency_unavailable" ? new Unsure(told) : new Wrong(told);
  }

  async function requireCrypto() {
    if (!window.isSecureContext || !window.crypto || !crypto.subtle) {
      throw new Unsure("browsers hash and check signatures only over https, or on this very machine");
    }
    try {
      await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "Ed25519" }, false, ["verify"]);
    } catch (error) {
      if (error.name !== "NotSupportedError") return; // it knows the name, and dislikes that key
      throw new Unsure("this browser cannot check Ed25519 signatures; a newer one can, and so can lethe audit verify");
    }
  }

  function recall() {
    try {
      return JSON.parse(localStorage.getItem(MEMORY));
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof DOMException) return null;
      throw error;
    }
  }

  function remember(seen) {
    try {
      localStorage.setItem(MEMORY, JSON.stringify(seen));
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // the browser keeps nothing: so be it
    }
    forget.hidden = recall() === null;
  }

  async function checkKey(chain, seen, note) {
    const given = pinned.value.trim();
    const known = (text) => chain.some((key) => key.text === text);
    if (given) {
      if (!known(given)) throw new Wrong(`signed by ${chain[chain.length - 1].text}, which does not follow from the key you gave`);
      return note("ok", "the key follows from the one you gave");
    }
    if (seen) {
      if (!known(seen.key)) throw new Wrong(`signed by ${chain[chain.length - 1].text}, which does not follow from ${seen.key}, the key this browser saw before`);
      return note("ok", "the key follows from the one this browser saw before");
    }
    note("ok", `the key is ${chain[chain.length - 1].text}; compare it once with the one you were told`);
  }

  // Runs one check; a failure is noted and the others go on.
  async function attempt(note, check) {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      note("wrong", error.message);
      return null;
    }
  }

  async function verify(note) {
    await requireCrypto();
    const evidence = await (await ask(panel.dataset.evidence)).json();
    const seen = recall();
    if (evidence.refusal) note("wrong", `the service refuses to sign the log as it is: ${evidence.refusal}`);
    const checkpoint = parseCheckpoint(evidence.note);
    const chain = await attempt(note, () => chainOf(evidence));
    if (chain) await attempt(note, () => checkKey(chain, seen, note));
    const signers = chain && (await attempt(note, () => signersOf(evidence.note, chain)));
    if (signers && !signers.length) note("wrong", "the checkpoint is signed by no key of this service");
    if (signers && signers.length) note("ok", `the checkpoint over ${checkpoint.size} leaves is signed by ${signers[0].name}+${signers[0].id}`);

    const { hashes, problems } = await readLeaves(checkpoint.size);
    problems.slice(0, MOST_NAMED).forEach((problem) => note("wrong", problem));
    if (problems.length > MOST_NAMED) note("wrong", `and ${problems.length - MOST_NAMED} more`);
    if (!problems.length) note("ok", `all ${hashes.length} leaves are there, in order, each with its hash`);
    const root = await rootOf(hashes);
    if (same(root, checkpoint.root)) note("ok", `they lead to the signed root ${hex(root)}`);
    else note("wrong", `the root over these leaves is ${hex(root)}, the signed one is ${hex(checkpoint.root)}: something was changed, dropped or inserted`);
    if (seen && seen.origin === checkpoint.origin) {
      const before = hashes.length < seen.size ? null : await rootOf(hashes.slice(0, seen.size));
      if (before && hex(before) === seen.root) note("ok", `the log continues the ${seen.size} leaves that this browser saw on ${seen.at}`);
      else note("wrong", `the log does not continue the ${seen.size} leaves that this browser saw on ${seen.at}: it was rolled back or rewritten`);
    } else if (seen) {
      note("wrong", `this log is named ${checkpoint.origin}; the one that this browser saw on ${seen.at}, ${seen.origin} with ${seen.size} leaves, goes on no more: the database was rolled back or copied`);
    }
    return { origin: checkpoint.origin, size: checkpoint.size, root: hex(root), key: chain && chain[0].text, at: new Date().toISOString().slice(0, 10) };
  }

  // --- The page ---------------------------------------------------------------------------

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  const WORDS = {
    ok: ["Verified", "The log is whole, and signed."],
    wrong: ["Not verified", "Something is wrong:"],
    unsure: ["Not concluded", "Nothing could be shown either way:"],
  };

  function show(outcome, notes) {
    const [title, text] = WORDS[outcome];
    const box = element("div", `notice ${outcome}`);
    box.append(element("strong", "", title), element("span", "", text));
    const list = element("ul", "checks");
    notes.forEach(([kind, message]) => list.append(element("li", kind, message)));
    box.append(list);
    result.dataset.outcome = outcome;
    result.replaceChildren(box);
  }

  async function run() {
    const notes = [];
    const note = (kind, message) => notes.push([kind, message]);
    start.disabled = true;
    progress.hidden = false;
    progress.value = 0;
    delete result.dataset.outcome;
    result.replaceChildren(element("p", "hint", "Reading the log…"));
    let seen = null;
    try {
      seen = await verify(note);
    } catch (error) {
      if (error instanceof Wrong) note("wrong", error.message);
      else if (error instanceof Unsure) note("unsure", error.message);
      else note("unsure", `the check itself failed: ${error.message}`);
    }
    const has = (kind) => notes.some(([one]) => one === kind);
    const outcome = has("wrong") ? "wrong" : has("unsure") ? "unsure" : "ok";
    show(outcome, notes);
    if (outcome === "ok") remember(seen);
    progress.hidden = true;
    start.disabled = false;
  }

  panel.querySelector(".with-script").hidden = false;
  forget.hidden = recall() === null;
  start.addEventListener("click", run);
  forget.addEventListener("click", () => {
    localStorage.removeItem(MEMORY);
    forget.hidden = true;
    start.focus();
  });
})();

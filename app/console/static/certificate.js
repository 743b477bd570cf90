// Checks a certificate of erasure in this browser, as verify_lethe.py does: form, signature, what is
// stated, the subject, the leaf, and the path from the leaf to a signed root (RFC 9162, section 2.1).
"use strict";

window.checkCertificate = (() => {
  const encoder = new TextEncoder();

  class Wrong extends Error {}

  const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const fromHex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
  const fromBase64 = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const same = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);
  const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

  // RFC 8785 without fractions: the one form that is signed.
  function canonical(value) {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (value === null || typeof value !== "object") return JSON.stringify(value);
    const fields = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
    return `{${fields.join(",")}}`;
  }

  async function keyOf(text) {
    const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text) || [];
    const material = encoded ? fromBase64(encoded) : [];
    const hashed = name ? await sha256(encoder.encode(`${name}\n`), material) : [];
    if (material[0] !== 1 || hex(hashed.slice(0, 4)) !== id) throw new Wrong("the key is malformed");
    return { name, id, imported: await crypto.subtle.importKey("raw", material.slice(1), { name: "Ed25519" }, false, ["verify"]) };
  }

  async function signature(document_, key) {
    const { signature: signed, salt: _, ...body } = document_;
    const message = encoder.encode(`${document_.statement.format}\n${canonical(body)}`);
    if (!(await crypto.subtle.verify({ name: "Ed25519" }, key.imported, fromBase64(signed), message))) {
      throw new Wrong("does not fit the contents: something was changed");
    }
    return `by ${document_.key}`;
  }

  async function statement({ statement: { stores, probes, request_id: request } }) {
    if (!stores.length || !probes.length) throw new Wrong("no stores, or no probes");
    for (const store of stores) if (store.after !== 0) throw new Wrong(`records are left in ${store.store}`);
    for (const probe of probes) {
      if (probe.residue !== 0) throw new Wrong(`residue was found in ${probe.store}`);
      if (probe.control_found !== true) throw new Wrong(`the probe of ${probe.store} did not find its control`);
    }
    const erased = stores.reduce((sum, store) => sum + store.before, 0);
    return `${erased} records in ${stores.length} stores, none left; residue 0 (request ${request.slice(0, 8)}…)`;
  }

  async function subject({ statement: { subject: told } }, { user, salt }) {
    const raw = fromHex(salt);
    const committed = await sha256([2], encoder.encode("lethe-subject/v1\n"), raw, encoder.encode(user));
    if (hex(committed) !== told.commitment) throw new Wrong("the certificate is about somebody else");
    return `about ${user}: shown by the receipt's salt, which only you have`;
  }

  async function leaf({ statement: told, proof }) {
    const recorded = JSON.parse(proof.leaf);
    const digest = hex(await sha256(encoder.encode(canonical(told))));
    if (recorded.payload.statement !== digest || recorded.request_id !== told.request_id) {
      throw new Wrong("the leaf records another statement");
    }
    return "the log records this very statement";
  }

  async function rootOf(hashed, { index, path }, size) {
    let [here, last, found] = [index, size - 1, hashed];
    for (const step of path.map(fromBase64)) {
      if (last === 0) throw new Wrong("the path is too long");
      if (here % 2 || here === last) {
        found = await sha256([1], step, found);
        while (here && here % 2 === 0) [here, last] = [here / 2, Math.floor(last / 2)];
      } else {
        found = await sha256([1], found, step);
      }
      [here, last] = [Math.floor(here / 2), Math.floor(last / 2)];
    }
    if (last) throw new Wrong("the path is too short");
    return found;
  }

  async function inclusion({ proof }, key) {
    const at = proof.checkpoint.lastIndexOf("\n\n");
    const text = proof.checkpoint.slice(0, at + 1);
    const [, size, root] = text.split("\n");
    const line = proof.checkpoint.slice(at + 2).split("\n").map((one) => /^\u2014 (\S+) (\S+)$/.exec(one))
      .find((one) => one && one[1] === key.name && hex(fromBase64(one[2]).slice(0, 4)) === key.id);
    const isSigned = line && await crypto.subtle.verify(
      { name: "Ed25519" }, key.imported, fromBase64(line[2]).slice(4), encoder.encode(text));
    if (!isSigned) throw new Wrong("the root is not signed by this key");
    const found = await rootOf(await sha256([0], encoder.encode(proof.leaf)), proof, Number(size));
    if (!same(found, fromBase64(root))) throw new Wrong("leads to another root than the signed one");
    return `leaf ${proof.index} of ${size}, ${proof.path.length} hashes to a signed root`;
  }

  // Returns the checks, each with its name, whether it held, and what it says.
  const check = async (document_, { user, salt }) => {
    const found = [];
    const note = async (name, run) => {
      try {
        found.push({ name, isOk: true, text: await run() });
      } catch (error) {
        // A field that is missing or of another type is as wrong as one that does not fit.
        found.push({ name, isOk: false, text: error instanceof Wrong ? error.message : "malformed" });
      }
    };
    let key;
    await note("Key", async () => ((key = await keyOf(document_.key)), "the certificate's own"));
    await note("Signature", () => signature(document_, key));
    await note("Statement", () => statement(document_));
    await note("Subject", () => subject(document_, { user, salt }));
    await note("Leaf", () => leaf(document_));
    await note("Place in the log", () => inclusion(document_, key));
    return found;
  };
  return Object.assign(check, { canonical });
})();

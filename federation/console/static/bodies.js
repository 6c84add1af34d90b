// Opens the body of one entry for the auditor who sits here. The key file and its passphrase stay in this page: the
// server is told that the body is opened, writes that into the log, and hands out what is sealed to the auditor's key.
"use strict";

(() => {
  const place = () => document.getElementById("opening");

  const tell = (name, good = false) => {
    const status = place().querySelector("[role=status]");
    status.textContent = place().dataset[name] || name;
    status.className = `verdict ${good ? "good" : name === "busy" ? "waiting" : "bad"}`;
    place().dataset.result = name;
  };

  // The leaf as it was proved on this page, and the answer to what was asked for, held against each other.
  const check = async (answer, opened, leaf, index) => {
    const { message, bytes } = opened;
    const sealed = message.statements;
    if (message.kind !== "OpenedBody" || message.leaf !== index) throw new Sealed.Refused("other");
    const covered = Merkle.fromBase64(answer.body);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", covered));
    const [stored, committed] = [Sealed.decode(covered), leaf[leaf.length - 1]];
    const headBytes = locate(bytes, message, "statements", "head");
    const storedHead = covered.slice(...stored[Sealed.AT].head);
    if (!Merkle.same(digest, committed) || !Merkle.same(headBytes, storedHead)) throw new Sealed.Refused("other");
    return { sealed, headBytes };
  };

  // The bytes of one field inside another.
  const locate = (bytes, message, ...names) => {
    let [found, at] = [message, null];
    for (const name of names) [at, found] = [found[Sealed.AT][name], found[name]];
    return bytes.slice(...at);
  };

  // A leaf is [version, kind, time, actor, reference, purpose, subject, attributes, evidence, body hash].
  const about = (statement, leaf) =>
    statement.leaf === leaf[1] && statement.party === leaf[3] && Merkle.same(statement.reference, leaf[4]) && statement.purpose === leaf[5];

  const ask = async (form) => {
    const body = new URLSearchParams({ csrf: form.dataset.csrf });
    const answer = await fetch(form.dataset.address, { method: "POST", body, redirect: "error" });
    const found = await answer.json();
    if (!answer.ok) throw new Sealed.Refused(found.error);
    return found;
  };

  const show = (statements, receipt) => {
    const [form, rows] = [place(), document.getElementById("opened-rows")];
    const time = (seconds) => new Date(1000 * seconds).toISOString().slice(0, 19).replace("T", " ");
    rows.replaceChildren();
    for (const [number, one] of statements.entries()) {
      const row = rows.insertRow();
      const texts = one === null
        ? [String(number), form.dataset.shredded, "", "", ""]
        : [String(number), one.enterprise || "—", `${one.decision} ${one.code}`.trim(), one.rule, time(one.at)];
      for (const [column, text] of texts.entries()) {
        const cell = row.insertCell();
        cell.textContent = text.replace(/\p{C}/gu, "\ufffd"); // nothing that reorders or hides what stands beside it
        if (column === 1 && one !== null) cell.className = "mono";
        cell.dataset.label = form.dataset.columns.split("|")[column];
      }
    }
    document.getElementById("opened").hidden = false;
    const note = document.getElementById("opened-note");
    note.textContent = note.dataset.says.replace("%view", String(receipt)).replace("%n", String(statements.length));
    document.getElementById("opened-view").href = `/entries/${receipt}`;
  };

  const open = async () => {
    const [form, inputs] = [place(), place().querySelectorAll("input")];
    const [file, passphrase] = [inputs[0].files[0], inputs[1].value];
    if (!file || file.size > 65536 || !passphrase) return tell("missing");
    tell("busy");
    try {
      const key = await Sealed.readKey(new Uint8Array(await file.arrayBuffer()), passphrase);
      inputs[1].value = "";
      if (key.auditor.toLowerCase() !== form.dataset.auditor.toLowerCase()) return tell("stranger");
      const answer = await ask(form);
      const leafBytes = Merkle.fromBase64(JSON.parse(document.querySelector("[data-inclusion]").dataset.inclusion).leaf);
      const leaf = Sealed.decode(leafBytes);
      const opened = await Sealed.unwrap(Merkle.fromBase64(answer.envelope), key);
      const { sealed, headBytes } = await check(answer, opened, leaf, Number(form.dataset.index));
      const found = await Sealed.statements(sealed, headBytes, key, answer.keys.map(Merkle.fromBase64));
      if (sealed.head.leaf !== leaf[1] || !found.every((one) => one === null || about(one, leaf))) return tell("other");
      show(found, answer.view);
      return tell("done", true);
    } catch (error) {
      if (error.name === "NotSupportedError") return tell("unsupported");
      if (error instanceof Sealed.Refused) return tell(error.message);
      tell("failed");
      throw error;
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    const form = place();
    if (!form) return;
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      open();
    });
  });
})();

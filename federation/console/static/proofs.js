// Checks the proofs that stand on a page, and says beside each what was found. Without a word from here, nothing was.
"use strict";

(() => {
  const say = (place, good, text) => {
    place.textContent = text;
    place.classList.remove("waiting");
    place.classList.add(good ? "good" : "bad");
    place.dataset.result = good ? "holds" : "fails";
  };

  const checkpoint = (sheet, trust, notes, cache, number) => {
    if (!cache.has(number)) {
      const parsed = Merkle.parseNote(notes[number] || "");
      cache.set(number, (async () => ({ parsed, signed: parsed && (await Merkle.signatures(parsed, trust)) }))());
    }
    return cache.get(number);
  };

  // What the signatures say, in words; a checkpoint that the log did not sign proves nothing.
  const standing = (sheet, signed, witnessed) => {
    if (signed === null) return { good: true, text: sheet.dataset.unsigned };
    const enough = !witnessed || signed.witnesses >= signed.quorum;
    const log = sheet.dataset.log + (signed.log ? "" : " ✗");
    const others = ` · ${signed.witnesses}/${signed.known} ${sheet.dataset.witnesses}${enough ? "" : " ✗"}`;
    return { good: signed.log && enough, text: log + (signed.known ? others : "") };
  };

  const checkInclusion = async (place, sheet, trust, notes, cache) => {
    const proof = JSON.parse(place.dataset.inclusion);
    const { parsed, signed } = await checkpoint(sheet, trust, notes, cache, proof.note);
    if (!parsed) return say(place, false, sheet.dataset.bad);
    const hash = await Merkle.leafHash(Merkle.fromBase64(proof.leaf));
    const path = proof.path.map(Merkle.fromBase64);
    const holds = await Merkle.inclusion(hash, proof.index, parsed.size, path, parsed.root);
    const names = standing(sheet, signed, place.dataset.witnessed === "yes");
    const good = holds && names.good;
    return say(place, good, `${holds ? sheet.dataset.ok : sheet.dataset.bad} · ${names.text}`);
  };

  const checkConsistency = async (place, sheet, trust, notes, cache) => {
    const proof = JSON.parse(place.dataset.consistency);
    const older = await checkpoint(sheet, trust, notes, cache, proof.old);
    const newer = await checkpoint(sheet, trust, notes, cache, proof.new);
    if (!older.parsed || !newer.parsed) return say(place, false, sheet.dataset.bad);
    const path = proof.path.map(Merkle.fromBase64);
    const [a, b] = [older.parsed, newer.parsed];
    const holds = await Merkle.consistency(a.size, b.size, a.root, b.root, path);
    const names = standing(sheet, newer.signed, false);
    return say(place, holds && names.good, `${holds ? sheet.dataset.ok : sheet.dataset.bad} · ${names.text}`);
  };

  // Shows what one entry's proof is made of, in text that can be checked elsewhere.
  const showParts = (notes, trust) => {
    const place = document.querySelector("[data-inclusion]");
    if (!place || !document.querySelector("[data-shows]")) return;
    const proof = JSON.parse(place.dataset.inclusion);
    const parts = {
      note: notes[proof.note],
      path: proof.path.join("\n"),
      leaf: proof.leaf,
      keys: [trust.log, ...trust.witnesses].map((key) => `${key.name}+${key.id}`).join("\n"),
    };
    for (const shown of document.querySelectorAll("[data-shows]")) shown.textContent = parts[shown.dataset.shows];
    const steps = document.querySelector("[data-steps]");
    steps.textContent = steps.dataset.steps.replace("%", String(proof.path.length));
  };

  // The browser as one more witness: it keeps the newest checkpoint it has seen, and wants every later one to extend it.
  const remember = async (newest) => {
    const place = document.getElementById("memory");
    if (!place || !newest || !newest.parsed || (newest.signed && !newest.signed.log)) return;
    const words = (name, old, size) =>
      place.dataset[name].replace("%old", String(old)).replace("%new", String(size));
    const tell = (text, good) => {
      place.hidden = false;
      place.querySelector("p").textContent = text;
      place.classList.toggle("bad", !good);
      place.dataset.result = good ? "holds" : "fails";
    };
    const key = `credfed checkpoint ${place.dataset.origin}`;
    const { size, root } = newest.parsed;
    const kept = JSON.parse(localStorage.getItem(key) || "null");
    const keep = () => localStorage.setItem(key, JSON.stringify({ size, root: Merkle.toHex(root) }));
    if (!kept) {
      keep();
      return tell(words("first", 0, size), true);
    }
    if (kept.size > size) return tell(words("bad", kept.size, size), false);
    const answer = await fetch(`/witnesses/growth?old=${kept.size}&new=${size}`);
    const path = answer.ok ? (await answer.json()).path : undefined;
    if (path === undefined) return tell(words("bad", kept.size, size), false);
    if (path === null && kept.size !== size) return tell(words("unknown", kept.size, size), true);
    const hashes = (path || []).map(Merkle.fromHex);
    const holds = await Merkle.consistency(kept.size, size, Merkle.fromHex(kept.root), root, hashes);
    if (holds) keep();
    const good = kept.size === size ? "same" : "ok";
    return tell(words(holds ? good : "bad", kept.size, size), holds);
  };

  const check = async () => {
    const sheet = document.getElementById("proof-sheet");
    if (!sheet || !globalThis.crypto || !crypto.subtle) return;
    const [notes, trust, cache] = [JSON.parse(sheet.dataset.notes), JSON.parse(sheet.dataset.trust), new Map()];
    const inclusions = [...document.querySelectorAll("[data-inclusion]")];
    const consistencies = [...document.querySelectorAll("[data-consistency]")];
    for (const place of [...inclusions, ...consistencies]) place.textContent = sheet.dataset.waiting;
    showParts(notes, trust);
    for (const place of inclusions) await checkInclusion(place, sheet, trust, notes, cache);
    for (const place of consistencies) await checkConsistency(place, sheet, trust, notes, cache);
    const number = document.getElementById("proof-count");
    if (number) number.textContent = number.dataset.says.replace("%", String(inclusions.length));
    const first = document.getElementById("memory");
    if (first && first.dataset.note) {
      await remember(await checkpoint(sheet, trust, notes, cache, Number(first.dataset.note)));
    }
    document.documentElement.dataset.proofs = "done";
  };

  document.addEventListener("DOMContentLoaded", check);
})();

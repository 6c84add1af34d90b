// Checks Merkle proofs and signed checkpoints in the browser: RFC 9162 §2.1.3.2 and §2.1.4.2 over WebCrypto's SHA-256,
// C2SP signed notes and cosignatures over its Ed25519 where the browser has it. It shares no code with the server.
"use strict";

const Merkle = (() => {
  const HASH = 32;
  const MAX_SIZE = 2 ** 53 - 1;

  const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));
  const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const fromHex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
  const utf8 = (text) => new TextEncoder().encode(text);
  const same = (a, b) => a.length === b.length && a.every((byte, place) => byte === b[place]);

  const joined = (...parts) => {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let place = 0;
    for (const part of parts) {
      whole.set(part, place);
      place += part.length;
    }
    return whole;
  };
  const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const leafHash = (leaf) => sha256(joined(Uint8Array.of(0), leaf));
  const nodeHash = (left, right) => sha256(joined(Uint8Array.of(1), left, right));

  const odd = (number) => number % 2 === 1;
  const half = (number) => Math.floor(number / 2);
  const sound = (size, hashes) =>
    Number.isSafeInteger(size) && size >= 0 && size <= MAX_SIZE && hashes.every((hash) => hash.length === HASH);

  // Whether `path` ties the leaf hash at `index` to the root of the tree of `size` leaves.
  const inclusion = async (leaf, index, size, path, root) => {
    if (!sound(size, [leaf, root, ...path]) || !Number.isSafeInteger(index) || index < 0 || index >= size) return false;
    let [fn, sn, result] = [index, size - 1, leaf];
    for (const sibling of path) {
      if (sn === 0) return false;
      if (odd(fn) || fn === sn) {
        result = await nodeHash(sibling, result);
        while (fn !== 0 && !odd(fn)) [fn, sn] = [half(fn), half(sn)];
      } else {
        result = await nodeHash(result, sibling);
      }
      [fn, sn] = [half(fn), half(sn)];
    }
    return sn === 0 && same(result, root);
  };

  // Whether `path` shows the tree (newSize, newRoot) to begin with the tree (oldSize, oldRoot).
  const consistency = async (oldSize, newSize, oldRoot, newRoot, path) => {
    if (!sound(oldSize, [oldRoot]) || !sound(newSize, [newRoot, ...path]) || oldSize > newSize) return false;
    if (oldSize === 0) return path.length === 0 && same(oldRoot, await sha256(new Uint8Array()));
    if (oldSize === newSize) return path.length === 0 && same(oldRoot, newRoot);
    if (path.length === 0) return false;
    let power = oldSize;
    while (power % 2 === 0) power = half(power);
    const hashes = power === 1 ? [oldRoot, ...path] : path;
    let [fn, sn] = [oldSize - 1, newSize - 1];
    while (odd(fn)) [fn, sn] = [half(fn), half(sn)];
    let [before, after] = [hashes[0], hashes[0]];
    for (const sibling of hashes.slice(1)) {
      if (sn === 0) return false;
      if (odd(fn) || fn === sn) {
        before = await nodeHash(sibling, before);
        after = await nodeHash(sibling, after);
        while (fn !== 0 && !odd(fn)) [fn, sn] = [half(fn), half(sn)];
      } else {
        after = await nodeHash(after, sibling);
      }
      [fn, sn] = [half(fn), half(sn)];
    }
    return sn === 0 && same(before, oldRoot) && same(after, newRoot);
  };

  // A checkpoint's text, what it states, and the signatures below it; null if it is none.
  const parseNote = (note) => {
    const end = note.indexOf("\n\n");
    if (end < 0 || !note.endsWith("\n")) return null;
    const text = note.slice(0, end + 1);
    const [origin, size, root] = text.split("\n");
    const signatures = note.slice(end + 2, -1).split("\n").map((line) => {
      const found = /^\u2014 (\S+) ([A-Za-z0-9+/=]+)$/.exec(line);
      const bytes = found ? fromBase64(found[2]) : new Uint8Array();
      return found && bytes.length > 4 ? { name: found[1], id: toHex(bytes.slice(0, 4)), bytes: bytes.slice(4) } : null;
    });
    if (!/^(0|[1-9][0-9]{0,15})$/.test(size || "") || !root || signatures.includes(null)) return null;
    return { text, origin, size: Number(size), root: fromBase64(root), signatures };
  };

  const ed25519 = async (key, message, signature) => {
    const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
    return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
  };

  // Who has signed a checkpoint: {log, witnesses, known, quorum}; null if this browser cannot check Ed25519.
  const signatures = async (parsed, trust) => {
    const signedBy = async (key, message, length) => {
      for (const line of parsed.signatures) {
        if (line.name !== key.name || line.id !== key.id || line.bytes.length !== length) continue;
        if (await ed25519(fromBase64(key.key), message(line.bytes), line.bytes.slice(length - 64))) return true;
      }
      return false;
    };
    try {
      const cosigned = (bytes) => {
        const time = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
        return utf8(`cosignature/v1\ntime ${time}\n${parsed.text}`);
      };
      const log = parsed.origin === trust.log.name && (await signedBy(trust.log, () => utf8(parsed.text), 64));
      let witnesses = 0;
      for (const key of trust.witnesses) if (await signedBy(key, cosigned, 72)) witnesses += 1;
      return { log, witnesses, known: trust.witnesses.length, quorum: trust.quorum };
    } catch (error) {
      if (error.name === "NotSupportedError") return null;
      throw error;
    }
  };

  return {
    fromBase64, toBase64, toHex, fromHex, utf8, same, joined,
    leafHash, inclusion, consistency, parseNote, signatures, ed25519,
  };
})();

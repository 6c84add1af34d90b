// Opens what was sealed to an auditor, in the browser: HPKE (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM), the wraps of
// statements, and the auditor's key file. Nothing here sends anything. It shares no code with the server.
"use strict";

const Sealed = (() => {
  const ONCE = new Uint8Array(12);
  const CONTEXT = new TextEncoder().encode("credit-federation/statements/v1\0");
  const ENVELOPE = new TextEncoder().encode("credit-federation/envelope/v1\0");
  const AT = Symbol("at");
  const { joined, utf8, same, fromHex } = Merkle;

  class Refused extends Error {}

  // ---- MessagePack, as far as our messages use it; under AT each map says where the bytes of its values stand

  const decode = (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let place = 0;
    const take = (length) => {
      if (place + length > bytes.length) throw new Refused("cut");
      place += length;
      return bytes.slice(place - length, place);
    };
    const number = (length) => {
      const from = place;
      take(length);
      if (length === 8) {
        const large = view.getBigUint64(from);
        if (large > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refused("number");
        return Number(large);
      }
      return length === 1 ? view.getUint8(from) : length === 2 ? view.getUint16(from) : view.getUint32(from);
    };
    const text = (length) => new TextDecoder("utf-8", { fatal: true }).decode(take(length));
    const list = (length) => Array.from({ length }, value);
    const map = (length) => {
      const found = Object.create(null);
      found[AT] = Object.create(null);
      for (let pair = 0; pair < length; pair += 1) {
        const [name, from] = [value(), place];
        found[name] = value();
        found[AT][name] = [from, place];
      }
      return found;
    };
    function value() {
      const tag = number(1);
      if (tag < 0x80) return tag;
      if (tag < 0x90) return map(tag & 15);
      if (tag < 0xa0) return list(tag & 15);
      if (tag < 0xc0) return text(tag & 31);
      const long = { 0xc4: [1, take], 0xc5: [2, take], 0xc6: [4, take], 0xd9: [1, text], 0xda: [2, text], 0xdb: [4, text] };
      const many = { 0xdc: [2, list], 0xdd: [4, list], 0xde: [2, map], 0xdf: [4, map] };
      const sized = long[tag] || many[tag];
      if (sized) return sized[1](number(sized[0]));
      if (tag >= 0xcc && tag <= 0xcf) return number(2 ** (tag - 0xcc));
      if (tag === 0xc2 || tag === 0xc3) return tag === 0xc3;
      if (tag === 0xc0) return null;
      throw new Refused("form");
    }
    const found = value();
    if (place !== bytes.length) throw new Refused("more");
    return found;
  };

  // ---- keys

  const hmac = async (key, data) => {
    const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
  };
  const opened = async (key, nonce, data, additional = new Uint8Array()) => {
    const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
    try {
      const how = { name: "AES-GCM", iv: nonce, additionalData: additional };
      return new Uint8Array(await crypto.subtle.decrypt(how, imported, data));
    } catch {
      return null;
    }
  };
  const agree = async (secret, point) => {
    const theirs = await crypto.subtle.importKey("raw", point, { name: "X25519" }, false, []);
    return new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, secret, 256));
  };

  // Who an auditor's key file says it is, and its sealing key under the passphrase; it stays in this page's memory.
  const readKey = async (file, passphrase) => {
    let stored = null;
    try {
      stored = decode(file);
    } catch {
      throw new Refused("file");
    }
    if (stored.format !== "credfed-auditor-key/1" || !(stored.log2_cost <= 18)) throw new Refused("file");
    const header = joined(file.slice(0, stored[AT].sealed[0]), Uint8Array.of(0xc4, 0));
    const key = await Scrypt.derive(utf8(passphrase), stored.salt, stored.log2_cost, 32);
    const secret = await opened(key, stored.nonce, stored.sealed, header);
    if (secret === null || secret.length !== 96) throw new Refused("passphrase");
    const pkcs8 = joined(fromHex("302e020100300506032b656e04220420"), secret.slice(32, 64));
    const sealing = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "X25519" }, false, ["deriveBits"]);
    secret.fill(0);
    pkcs8.fill(0);
    const base = new Uint8Array(32);
    base[0] = 9;
    return { auditor: stored.auditor, sealing, point: await agree(sealing, base) };
  };

  // ---- HPKE, base mode, one message

  const labelled = (suite, label, data) => joined(utf8("HPKE-v1"), suite, utf8(label), data);
  const extract = (salt, suite, label, data) =>
    hmac(salt.length ? salt : new Uint8Array(32), labelled(suite, label, data));
  const expand = async (secret, suite, label, info, length) => {
    const asked = joined(Uint8Array.of(length >> 8, length & 255), labelled(suite, label, info), Uint8Array.of(1));
    return (await hmac(secret, asked)).slice(0, length); // one block of HKDF is all that is ever asked for
  };
  const unseal = async (data, key, info) => {
    const [kem, suite] = [joined(utf8("KEM"), fromHex("0020")), joined(utf8("HPKE"), fromHex("002000010002"))];
    const [none, point] = [new Uint8Array(), data.slice(0, 32)];
    const agreed = await extract(none, kem, "eae_prk", await agree(key.sealing, point));
    const shared = await expand(agreed, kem, "shared_secret", joined(point, key.point), 32);
    const [ids, infos] = [await extract(none, suite, "psk_id_hash", none), await extract(none, suite, "info_hash", info)];
    const [context, secret] = [joined(Uint8Array.of(0), ids, infos), await extract(shared, suite, "secret", none)];
    const nonce = await expand(secret, suite, "base_nonce", context, 12);
    return opened(await expand(secret, suite, "key", context, 32), nonce, data.slice(32));
  };

  // What an envelope holds that was sealed to the key's owner. Throws Refused.
  const unwrap = async (parcel, key) => {
    const envelope = decode(parcel);
    const names = [envelope.sender, envelope.receiver, envelope.message].map(utf8);
    const zero = Uint8Array.of(0);
    const header = joined(ENVELOPE, envelope.transcript, names[0], zero, names[1], zero, names[2], utf8("\0sealed"));
    const body = envelope.receiver === key.auditor && envelope.sealed ? await unseal(envelope.body, key, header) : null;
    if (body === null) throw new Refused("envelope");
    return { message: decode(body), bytes: body };
  };

  // ---- statements

  const position = (place) => Uint8Array.of(place >> 8, place & 255);

  const wrapped = async (head, key) => {
    const bound = joined(CONTEXT, head.transcript, utf8(`${head.party}\0${head.leaf}\0`));
    const shared = await crypto.subtle.importKey("raw", await agree(key.sealing, head.ephemeral), "HKDF", false, ["deriveBits"]);
    const how = { name: "HKDF", hash: "SHA-256", salt: joined(head.ephemeral, key.point), info: bound };
    const wrapping = new Uint8Array(await crypto.subtle.deriveBits(how, shared, 256));
    for (const wrap of head.auditors) {
      const found = await opened(wrapping, ONCE, wrap);
      if (found !== null) return found;
    }
    throw new Refused("closed");
  };

  const entryStatement = async (head, bodyKey, entry, place) => {
    const key = await hmac(bodyKey, joined(CONTEXT, utf8("entry\0"), position(place)));
    const commitment = (await hmac(key, joined(CONTEXT, utf8("commitment\0")))).slice(0, 16);
    const padded = same(commitment, entry.slice(0, 16)) ? await opened(key, ONCE, entry.slice(64)) : null;
    if (padded === null) throw new Refused("entry");
    const statement = decode(padded.slice(2, 2 + 256 * padded[0] + padded[1]));
    const fits = statement.party === head.party && statement.leaf === head.leaf && statement.position === place;
    if (statement.kind !== "Statement" || !fits) throw new Refused("entry");
    return statement;
  };

  // The statements of a body by place, after its party's signature over them was checked; null where one was shredded.
  const statements = async (sealed, headBytes, key, verifyKeys) => {
    const head = sealed.head;
    if (head.entries.length !== sealed.entries.length) throw new Refused("signature");
    for (const [place, entry] of sealed.entries.entries()) {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", entry));
      if (entry.length && !same(digest, head.entries[place])) throw new Refused("signature");
    }
    const signed = joined(CONTEXT, headBytes);
    const checks = verifyKeys.map((one) => Merkle.ed25519(one, signed, sealed.signature));
    if (!(await Promise.all(checks)).includes(true)) throw new Refused("signature");
    const bodyKey = await wrapped(head, key);
    const found = [];
    for (const [place, entry] of sealed.entries.entries()) {
      found.push(entry.length ? await entryStatement(head, bodyKey, entry, place) : null);
    }
    return found;
  };

  return { Refused, AT, decode, readKey, unwrap, statements };
})();

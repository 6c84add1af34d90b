// scrypt (RFC 7914), by which an auditor's key file is sealed: WebCrypto has its PBKDF2 and nothing of the rest.
// It needs 64 MiB and about a second, and lets the page breathe meanwhile.
"use strict";

const Scrypt = (() => {
  const BREATHE = 2048;

  const pbkdf2 = async (password, salt, length) => {
    const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: 1 };
    return new Uint8Array(await crypto.subtle.deriveBits(how, key, 8 * length));
  };

  const turned = (a, b) => (a << b) | (a >>> (32 - b));

  // Salsa20/8 of sixteen words, added to themselves.
  const salsa = (words, x) => {
    x.set(words);
    const quarter = (a, b, c, d) => {
      x[b] ^= turned((x[a] + x[d]) | 0, 7);
      x[c] ^= turned((x[b] + x[a]) | 0, 9);
      x[d] ^= turned((x[c] + x[b]) | 0, 13);
      x[a] ^= turned((x[d] + x[c]) | 0, 18);
    };
    for (let round = 0; round < 4; round += 1) {
      quarter(0, 4, 8, 12);
      quarter(5, 9, 13, 1);
      quarter(10, 14, 2, 6);
      quarter(15, 3, 7, 11);
      quarter(0, 1, 2, 3);
      quarter(5, 6, 7, 4);
      quarter(10, 11, 8, 9);
      quarter(15, 12, 13, 14);
    }
    for (let place = 0; place < 16; place += 1) words[place] = (words[place] + x[place]) | 0;
  };

  // scryptBlockMix: 2r blocks of sixteen words in `block`, through `out`, and back into it.
  const mix = (block, out, r) => {
    const [last, x] = [block.slice(16 * (2 * r - 1)), mix.scratch];
    for (let part = 0; part < 2 * r; part += 1) {
      for (let place = 0; place < 16; place += 1) last[place] ^= block[16 * part + place];
      salsa(last, x);
      out.set(last, 16 * ((part >> 1) + (part & 1) * r));
    }
    block.set(out);
  };
  mix.scratch = new Int32Array(16);

  // Returns `length` bytes for a password and a salt, with cost 2^log2Cost, blocks of r = 8, in one lane.
  const derive = async (password, salt, log2Cost, length) => {
    const [r, cost] = [8, 2 ** log2Cost];
    const bytes = await pbkdf2(password, salt, 128 * r);
    const [view, size] = [new DataView(bytes.buffer), 32 * r];
    const [block, out, kept] = [new Int32Array(size), new Int32Array(size), new Int32Array(size * cost)];
    for (let place = 0; place < size; place += 1) block[place] = view.getInt32(4 * place, true);
    const pause = (step) => step % BREATHE === BREATHE - 1 && new Promise((done) => setTimeout(done));
    for (let step = 0; step < cost; step += 1) {
      kept.set(block, size * step);
      mix(block, out, r);
      await pause(step);
    }
    for (let step = 0; step < cost; step += 1) {
      const from = size * ((block[size - 16] >>> 0) % cost);
      for (let place = 0; place < size; place += 1) block[place] ^= kept[from + place];
      mix(block, out, r);
      await pause(step);
    }
    for (let place = 0; place < size; place += 1) view.setInt32(4 * place, block[place], true);
    kept.fill(0);
    return pbkdf2(password, bytes, length);
  };

  return { derive };
})();

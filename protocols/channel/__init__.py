"""How parties talk: canonical bytes, keys and cards, signed and sealed envelopes.

`wire` turns messages into bytes and back, `identity` holds a party's keys and its public card, `envelope` signs every
message under the transcript of its run and seals what only the receiver may read.
"""

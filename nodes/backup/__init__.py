"""A party's directory in one encrypted file, and back: its ledger as of one moment, every file under a hash.

sealed_stream   bytes under a passphrase, in chunks of which none can be changed, left out, moved or cut off
archive         a directory's files and ledgers into such a stream, and out of it
restoring       a directory in the place of what was there, a data node stopped until its owner resumes it
freshness       whether a restored ledger is as new as what its party is known to have cosigned
"""

"""What the bank asks about enterprises.

questions  one at a time
batches    up to a thousand at once
convoys    many that leave together
showing    whose a consent is, stated for the log
opener     where answers are decrypted
reading    what the bank adds to an opened answer
results    what comes of it
"""

"""Reading a log without its key. Nothing is verified here: `verify` and `export.checking` judge the whole.

log_view    leaves in order and a proof for each, from the coordinator's own log; an export has the same (`LogView`)
records     a leaf in words, and as the row of an export
search      leaves by who, what, when and why
objections  what enterprises objected to, and what became of it
"""

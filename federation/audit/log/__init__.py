"""The log itself: the coordinator appends to it, and nobody else writes it.

audit_log   AuditLog: append, durably and in order; signed checkpoints, proofs
waiting     leaves of several callers become one commit
cosigners   the witnesses that count, and how far they have seen the log
contents    what is on disk, read while others append
recovery    what a log must show of itself before it may go on
witnessed   the last witnessed checkpoint, kept beside it
keys        the log's key, and the public keys by which others verify
references  which leaves belong to which query, run, objection or policy: an index beside it
"""

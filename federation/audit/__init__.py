"""The coordinator's audit log: durable before any answer leaves, provable to anyone, and no leak in itself.

log        AuditLog: append with group commit, proofs, signed checkpoints, cosignatures
storage    the SQLite file under it
witnessed  the last witnessed checkpoint, kept beside the file
keys       the log's key, and the public keys by which others verify
verify     recompute everything from the leaves and name the first bad one
"""

from federation.audit.contents import Entry
from federation.audit.keys import create_log_signer, read_log_keys, read_log_signer, write_log_keys
from federation.audit.log import AuditLog
from federation.audit.verify import LogFailure, LogReport, verify_directory, verify_log

__all__ = [
    "AuditLog",
    "Entry",
    "LogFailure",
    "LogReport",
    "create_log_signer",
    "read_log_keys",
    "read_log_signer",
    "verify_directory",
    "verify_log",
    "write_log_keys",
]

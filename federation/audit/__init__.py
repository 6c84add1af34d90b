"""The coordinator's audit log: durable before any answer leaves, provable to anyone, and no leak in itself.

    errors           the codes by which it says what is wrong
    storage/         where its rows are: a SQLite file, or PostgreSQL
    bodies/          what only auditors and enterprises may read, and how that is destroyed
    log/             AuditLog: append with group commit, proofs, checkpoints and who cosigned them; its keys
    reading/         a log without its key: leaves in order, searched, in words, and the objections among them
    verify           recompute everything from the leaves and name the first bad one
    export/          a folder of files that stand on their own, and their verification offline
    reconciliation/  the log held against what each party has on record
    alarms/          the log held against rules with thresholds
    reports/         what is told each day and each month
    views/           auditors, whose every look is a leaf
    bench            how fast it all is

Each room stands on those above it alone (import-linter keeps it).
"""

from federation.audit.log.audit_log import AuditLog
from federation.audit.log.contents import Entry
from federation.audit.log.keys import create_log_signer, read_log_keys, read_log_signer, write_log_keys
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

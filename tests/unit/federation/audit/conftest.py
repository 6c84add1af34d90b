"""Fixtures of the audit log's tests."""

from audit_site import file_log, file_site, log, site

__all__ = ["file_log", "file_site", "log", "site"]

"""Fixtures of the audit log's tests."""

from audit_site import log, site

__all__ = ["log", "site"]

"""Fixtures of the attacks: a log in an attacker's hands, an enterprise that was asked about."""

from asked_enterprise import asked, enterprise
from tampered_log import file_site, site

__all__ = ["asked", "enterprise", "file_site", "site"]

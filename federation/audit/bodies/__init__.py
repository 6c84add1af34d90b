"""Sealed bodies, and their end.

shredder   the keys that make stored bodies readable, one file, destroyed to erase them
retention  years that are over: their bodies go, the log says so, and verifies without them
"""

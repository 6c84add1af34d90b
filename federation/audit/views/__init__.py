"""Auditors, and what the log knows of their looks.

auditor_keys  an auditor's keys, under a passphrase
auditor       the auditor's side: sign a view, hand it in, check the receipt
desk          the coordinator's side: the view is a leaf before anything is shown
"""

"""The log held against what each party has on record.

reconcile    every query and every training run, joined from both sides
precedents   what must stand in the log before an answer: its consents, its node's policy
discrepancy  one thing that does not fit
"""

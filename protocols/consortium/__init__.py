"""A consortium: several banks, each with its own customers and key, that train one scorecard together.

Only what all banks' training rows add up to opens. Start with `messages`; the reasons are in docs/consortium.md.
"""

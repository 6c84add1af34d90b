"""What runs at an enterprise: its key, its record fetched and verified, its objections. It is no party and no server.

home      its folder: the key, the credential, and what it has pinned of the federation
fetching  asks page by page and holds what comes back together
record    the record in words
"""

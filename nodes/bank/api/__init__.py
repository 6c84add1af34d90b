"""The bank's REST API: what a loan officer's system asks, over the port `BankService`.

app           the application, and what runs beside it
settings      what its operator decides
context       what every request works with; one answer per idempotency key
auth          API keys and scopes
limits        how large a request may be
strictness    nothing in a request is ignored
problems      every error as problem+json, with a stable code
paging        pages of a list, by an opaque cursor
schemas/      what requests and answers look like, with examples: one file a resource
assessments, batches, outcomes, monitors, health   the resources
"""

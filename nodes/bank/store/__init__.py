"""What the bank's REST API keeps: one SQLite file in the bank's folder, one module a table.

database      the file, its one thread, and whole transactions
api_keys      who may call, hashed
replays       answers kept under an idempotency key
assessments   results, with what their model said of itself
batches       files of applicants, row by row
outcomes      repayment outcomes, and the labels they become
monitors      enterprises that are scored again and again, and the events about them
"""

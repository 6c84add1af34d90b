"""The auditor's console: the log's entries, proofs, alarms and witnesses in a browser, for one machine's own people.

sources       what the console reads, and where each look is recorded
index         where entries stand, by who, what and when; made from the log, and made anew if it does not fit it
search_form   what a visitor asked for, checked; `wanted`: what it then asks of the index
stories       one query across all parties, with times and what does not fit
proofs        proofs that the server checks, in the form in which the browser checks them again
examination   the whole log verified, reconciled and held against the alarms' rules, beside the requests
health        who is connected, and what is about to expire
accounts      who may enter, and in which role; sessions and the brake on guessing
guard         what every request must be, and every answer carries
wording       every text in Chinese and English
rendering     the templates
pages         the resources, one file each
app, serving  all of it together, on an address of loopback
"""

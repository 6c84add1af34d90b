"""The enterprise's own rights: to its record, to object to it, and to have it put right.

An enterprise is no party of the federation. It has a key of its own, which an accredited consent service vouches for.

credential   the service's word that a key is an enterprise's, for the nodes; and its slip, for the coordinator
messages     the request for a record, an objection, the decision, and what each reveals
objections   the codes of objections and decisions, and the clock
verifying    what the enterprise recomputes of its record, and what a party withheld
"""

"""The coordinator's side of an enterprise's rights: it routes what it cannot read, logs it, and proves what it logged.

desk        takes a request for a record, or an objection, and answers it
admission   whose requests are taken: under which key, how often, and only once
proving     the leaves of some queries, with their proofs
references  which leaves belong to which query, as an index that can be made anew from the log
store       objections and decisions on their way to the nodes
rounds      brings them there, and brings the nodes' decisions into the log
"""

from federation.enterprise.desk import EnterpriseDesk

__all__ = ["EnterpriseDesk"]

"""What a data owner allows, in a file that it can read: default deny, ordered rules with names.

privacy    how much noise the sums of training must carry
rules      the rules and the numbers that bound what they allow
decisions  which rule decides a request, and why
files      `policy.yaml`: read, checked against its schema, written
in_force   the one that a working node goes by, which follows the file
"""

from nodes.policy.decisions import Decision, Request, decide
from nodes.policy.files import POLICY_FILE, policy_schema, read_policy, write_policy
from nodes.policy.in_force import PolicyInForce
from nodes.policy.privacy import PrivacyRules
from nodes.policy.rules import ConsentRules, Effect, NodePolicy, Quota, Rule, TrainingRules, usual_policy

__all__ = [
    "POLICY_FILE",
    "ConsentRules",
    "Decision",
    "Effect",
    "NodePolicy",
    "PolicyInForce",
    "PrivacyRules",
    "Quota",
    "Request",
    "Rule",
    "TrainingRules",
    "decide",
    "policy_schema",
    "read_policy",
    "usual_policy",
    "write_policy",
]

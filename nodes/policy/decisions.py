"""Which rule of a policy decides a request, and why: for the node that acts on it, and for the owner who asks."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.policy.rules import Effect, NodePolicy, Rule
from protocols.consent import Purpose
from protocols.errors import PolicyDenied


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for what; `model` is the hash of the model of an assessment, "" where it is none in particular."""

    bank: str
    purpose: Purpose
    model: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy says of a request.

    Shapes: `rule` is None if none matched; `passed_over` has the rules before it, each with the reason; `code` is ""
    if the request is allowed, within the terms of the rule.
    """

    rule: Rule | None
    code: str
    reason: str
    passed_over: tuple[tuple[str, str], ...]

    def granted(self) -> Rule:
        """Return the rule on whose terms the request is allowed. Raises: PolicyDenied with the decision's code."""
        if self.code or self.rule is None:
            raise PolicyDenied(self.reason, code=self.code)
        return self.rule


def decide(policy: NodePolicy, request: Request) -> Decision:
    """Return what the first rule that matches says, or the denial that stands where none does."""
    passed_over: list[tuple[str, str]] = []
    for rule in policy.rules:
        mismatch = _mismatch(rule, request)
        if mismatch:
            passed_over.append((rule.name, mismatch))
        elif rule.effect is Effect.DENY:
            return Decision(rule, "NODE_DENIED", f"rule {rule.name!r} denies it", tuple(passed_over))
        else:
            return Decision(rule, "", f"rule {rule.name!r} allows it, on its terms", tuple(passed_over))
    code, reason = _default(policy, request)
    return Decision(None, code, reason, tuple(passed_over))


def _mismatch(rule: Rule, request: Request) -> str:
    """Return why a rule does not speak of a request, "" if it does."""
    if rule.banks != "any" and request.bank not in rule.banks:
        return f"it is not about {request.bank}"
    if rule.purposes != "any" and request.purpose not in rule.purposes:
        return f"it is not about {request.purpose}"
    if rule.models != "any-signed" and request.model not in rule.models:
        return "it is about other models" if request.model else "it is about models that it lists"
    return ""


def _default(policy: NodePolicy, request: Request) -> tuple[str, str]:
    """Return the code and the reason of a denial by default: what is the first thing that no rule allows."""
    allowing = [rule for rule in policy.rules if rule.effect is Effect.ALLOW]
    allowing = [rule for rule in allowing if rule.banks == "any" or request.bank in rule.banks]
    if not allowing:
        return "BANK_DENIED", f"no rule allows {request.bank} anything"
    allowing = [rule for rule in allowing if rule.purposes == "any" or request.purpose in rule.purposes]
    if not allowing:
        return "PURPOSE_DENIED", f"no rule allows {request.bank} {request.purpose}"
    return "MODEL_DENIED", f"no rule allows {request.bank} {request.purpose} by this model"

"""`credfed policy`: what a data owner's policy says, in the owner's own words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from federation.cli.enterprise.consent_text import read_consent_text
from federation.cli.output import FAILED, console, print_json, reported_errors
from nodes.consent_sources import read_issuers
from nodes.keystore import read_cards
from nodes.policy import Decision, Effect, NodePolicy, Request, Rule, decide, policy_schema, read_policy
from protocols.channel.identity import PartyId
from protocols.consent import ConsentDemand, Purpose, split_consent, unverified_subject, verify_consent
from protocols.errors import ConfigurationError, PolicyDenied

app = typer.Typer(help="Check, show and question a data owner's policy.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A node's policy.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


@app.callback()
def policy() -> None:
    """Check, show and question a data owner's policy.

    A policy is a list of named rules. The first that matches a request decides it; what none matches is denied.
    """


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Say whether FILE is a policy that a node would start with; a slip is named with its place.

    Exit code 0 if it is, 2 if it is not.
    """
    with reported_errors(as_json):
        found = read_policy(file)
    if as_json:
        print_json({"ok": True, "rules": len(found.rules), "hash": found.digest().hex()})
    else:
        console.print(f"[green]ok[/] {escape(str(file))}: {len(found.rules)} rules", soft_wrap=True)
        console.print(f"   hash {found.digest().hex()}, as every release names it", soft_wrap=True)
        for text in _remarks(found):
            console.print(f"   [yellow]note[/] {escape(text)}", soft_wrap=True)


@app.command()
def show(file: File, as_json: AsJson = False) -> None:
    """Print every rule of FILE in full, with the numbers that it leaves to the defaults."""
    with reported_errors(as_json):
        found = read_policy(file)
    if as_json:
        print_json(msgspec.to_builtins(found) | {"hash": found.digest().hex()})
        return
    for number, rule in enumerate(found.rules, start=1):
        _show_rule(number, rule)
    console.print("\nwhat no rule matches is denied")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy, for an editor that completes and checks YAML."""
    print_json(policy_schema())


@app.command()
def explain(
    file: File,
    bank: Annotated[str, typer.Option("--bank", help="Who asks.")],
    purpose: Annotated[Purpose, typer.Option("--purpose", help="What for.")],
    model: Annotated[str, typer.Option("--model", help="Hash of the model that is asked for.")] = "",
    consent: Annotated[
        str, typer.Option("--subject-consent", help="The enterprise's consent, or a file that holds it.")
    ] = "",
    domain: Annotated[str, typer.Option("--domain", help="The node's domain; by default the name of its folder.")] = "",
    cards: Annotated[
        Path | None, typer.Option("--cards", help="The cards that the node pins; by default beside its folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which rule of FILE decides a request, why those before it do not, and on which terms.

    With a consent, also whether it would do: signature, bank, key, purpose, domain, time, and the owner's own bounds.
    Exit code 0 if the request is allowed, 1 if it is denied.

    Example: credfed policy explain OUT/tax/policy.yaml --bank bank --purpose assessment
    """
    with reported_errors(as_json):
        decision = decide(read_policy(file), Request(bank, purpose, model))
        verdict = None
        if consent and not decision.code:
            folder = cards if cards is not None else file.resolve().parent.parent / "cards"
            verdict = _judge_consent(consent, decision.granted(), file.resolve().parent, folder, bank, purpose, domain)
    allowed = not decision.code and not (verdict and verdict[0])
    if as_json:
        print_json(_as_json(decision, verdict, allowed))
    else:
        _show_decision(decision, verdict, allowed)
    if not allowed:
        raise typer.Exit(FAILED)


def _judge_consent(
    text: str, rule: Rule, home: Path, cards: Path, bank: str, purpose: Purpose, domain: str
) -> tuple[str, str]:
    """Return the code with which the node would refuse the consent, "" if it would not, and what is so."""
    pins = read_cards(cards)
    if bank not in pins.cards:
        raise ConfigurationError(f"{cards}: no card of {bank}", code="UNKNOWN_BANK")
    token, _ = split_consent(read_consent_text(text))
    try:
        subject = unverified_subject(token)
        demand = ConsentDemand(subject, bank, pins.cards[PartyId(bank)].fingerprint(), purpose, domain or home.name)
        found = verify_consent(token, read_issuers(home, pins), demand, int(time.time()))
        rule.consent.check(found)
    except PolicyDenied as refusal:
        return refusal.code, str(refusal)
    return "", f"it holds, for {found.uses} uses at each node; whether it was revoked, the node knows"


def _as_json(decision: Decision, verdict: tuple[str, str] | None, allowed: bool) -> dict[str, object]:
    passed = [{"rule": name, "because": reason} for name, reason in decision.passed_over]
    found: dict[str, object] = {
        "allowed": allowed,
        "rule": None if decision.rule is None else decision.rule.name,
        "code": decision.code or (verdict[0] if verdict else ""),
        "because": decision.reason,
        "passed_over": passed,
        "terms": None if decision.code or decision.rule is None else msgspec.to_builtins(decision.rule),
    }
    return found | ({} if verdict is None else {"consent": {"code": verdict[0], "because": verdict[1]}})


def _show_decision(decision: Decision, verdict: tuple[str, str] | None, allowed: bool) -> None:
    for name, reason in decision.passed_over:
        console.print(f"  [dim]passed over[/]  {escape(name)}: {escape(reason)}", soft_wrap=True)
    console.print(f"  [dim]decides    [/]  {escape(decision.reason)}", soft_wrap=True)
    if verdict is not None:
        console.print(f"  [dim]consent    [/]  {escape(verdict[0] or 'ok')}: {escape(verdict[1])}", soft_wrap=True)
    if decision.rule is not None and not decision.code:
        for heading, text in _terms(decision.rule):
            console.print(f"  [dim]{heading:<11}[/]  {escape(text)}", soft_wrap=True)
    code = decision.code or (verdict[0] if verdict else "")
    console.print("[green]allowed[/]" if allowed else f"[red]denied[/], {code}")


def _show_rule(number: int, rule: Rule) -> None:
    colour = "green" if rule.effect is Effect.ALLOW else "red"
    console.print(f"{number}. [bold]{escape(rule.name)}[/]: [{colour}]{rule.effect}[/]", soft_wrap=True)
    for heading, text in [("banks", _listed(rule.banks)), ("purposes", _listed(rule.purposes)), *_terms(rule)]:
        console.print(f"     [dim]{heading:<9}[/] {escape(text)}", soft_wrap=True)


def _terms(rule: Rule) -> list[tuple[str, str]]:
    training, quota = rule.training, rule.quota
    found = [("features", _listed(rule.features))]
    if "assessment" in _listed(rule.purposes) or rule.purposes == "any":
        found += [
            ("models", _listed(rule.models)),
            ("quota", f"{quota.per_day:,} a day, {quota.per_subject:,} a day about one enterprise"),
            ("score", f"at most {quota.score_bits} bits"),
        ]
    if "training" in _listed(rule.purposes) or rule.purposes == "any":
        found += [
            ("sums", f"over at least {training.minimum_bin} enterprises, {training.fine_bins} bins a feature"),
            ("totals", f"{training.row_totals} a run, {training.row_totals_per_year} a year"),
            ("nodes", f"at least {training.minimum_nodes}"),
            ("keys", f"at least {training.minimum_key_bits} bits"),
        ]
    consent = rule.consent
    return [*found, ("consent", f"for at most {consent.uses_at_most:,} uses and {consent.days_at_most} days")]


def _listed(value: tuple[str, ...] | str) -> str:
    return value if isinstance(value, str) else ", ".join(value) or "none"


def _remarks(policy: NodePolicy) -> list[str]:
    """Return what an owner might not have meant."""
    found = []
    for rule in policy.rules:
        if rule.effect is Effect.ALLOW and rule.banks == "any":
            found.append(f"rule {rule.name!r} allows any bank of the federation")
        if rule.effect is Effect.ALLOW and rule.training.minimum_nodes < 3:
            found.append(f"rule {rule.name!r} consents to fewer than three data nodes")
        if rule.effect is Effect.ALLOW and rule.training.minimum_bin < 50:
            found.append(f"rule {rule.name!r} allows sums over fewer than 50 enterprises")
    return found

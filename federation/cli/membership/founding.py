"""`credfed coordinator init`, `node init`, `bank init`: a party's own keys and directory, on its own machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from federation.cli.output import console, errors, print_json, reported_errors
from federation.local.coordinator_home import found_coordinator
from federation.local.layout import LOG_NAME, witness_name
from nodes.bank.settings import BANK_FILE
from nodes.data_node.settings import NODE_FILE
from nodes.enrolment.founding import found_party, new_directory
from nodes.enrolment.settings_text import bank_settings_text, node_settings_text
from nodes.policy import POLICY_FILE, NodePolicy, TrainingRules, usual_policy, write_policy
from nodes.policy.rules import VERSION
from protocols.channel.identity import PartyCard, PartyId, PartyRole

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The new directory; it must not exist, or be empty.")]
KeyBits = Annotated[
    int, typer.Option("--key-bits", help="Length of Paillier keys: the same at every party.", min=2048, max=8192)
]
Data = Annotated[str, typer.Option("--data", help="Folder with domains.json and this party's file, seen from DIR.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


def init_coordinator(
    home: Home,
    listen: Annotated[str, typer.Option("--listen", help="Where enrolled parties dial.")] = "127.0.0.1:7443",
    enrolment: Annotated[
        str, typer.Option("--enrolment", help="Where invited parties ask to be enrolled.")
    ] = "127.0.0.1:7444",
    http: Annotated[str, typer.Option("--http", help="Health and metrics, on loopback.")] = "127.0.0.1:9443",
    key_bits: KeyBits = 3072,
    log: Annotated[
        str, typer.Option("--log", help="The log's name, for good: as a URL without its scheme.")
    ] = LOG_NAME,
    as_json: AsJson = False,
) -> None:
    """Make the coordinator's directory: its keys, the log's, the authority of all certificates, and coordinator.yaml.

    It holds nobody else's keys; parties come in by `credfed coordinator invite` and `credfed party approve`.

    Example: credfed coordinator init /srv/coordinator --listen 0.0.0.0:7443 --enrolment 0.0.0.0:7444
    """
    with reported_errors(as_json):
        with new_directory(home) as made:
            card = found_coordinator(made, listen, enrolment, http, key_bits, log)
        follow = f"credfed coordinator run {home}; credfed coordinator invite NAME --role node|bank --home {home}"
        _report(home, card, follow, as_json)


def init_node(
    home: Home,
    domain: Annotated[str, typer.Option("--domain", help="What it describes: a domain of domains.json.")],
    name: Annotated[str, typer.Option("--name", help="The party's name, as invited; by default the domain.")] = "",
    data: Data = "data",
    bank: Annotated[
        list[str] | None, typer.Option("--bank", help="A bank that may train and ask, on the usual terms; repeatable.")
    ] = None,
    minimum_nodes: Annotated[
        int, typer.Option("--minimum-nodes", help="Fewest data nodes in a run; below 3 is your consent to it.", min=2)
    ] = 3,
    key_bits: KeyBits = 3072,
    as_json: AsJson = False,
) -> None:
    """Make a data node's directory: all its keys, node.yaml and policy.yaml. No private key ever leaves it.

    The policy denies everything unless --bank names who may do what; it is for you to read and change.

    Example: credfed node init /srv/tax --domain tax --data /srv/records --bank icbc
    """
    with reported_errors(as_json):
        party = PartyId(name or domain)
        _progress(key_bits)
        with new_directory(home) as made:
            card = found_party(made, party, PartyRole.DATA_NODE, key_bits, witness_name(party))
            text = node_settings_text(party, domain, data, witness_name(party))
            (made / NODE_FILE).write_text(text, encoding="utf-8")
            rules = usual_policy(tuple(bank), training=TrainingRules(minimum_nodes=minimum_nodes)) if bank else None
            write_policy(made / POLICY_FILE, rules or NodePolicy(VERSION, ()))
        _report(home, card, f"credfed node enrol {home} --coordinator HOST:PORT --token TOKEN", as_json)


def init_bank(
    home: Home,
    name: Annotated[str, typer.Option("--name", help="The party's name, as invited.")] = "bank",
    data: Data = "data",
    uscc: Annotated[
        bool, typer.Option("--uscc/--no-uscc", help="Whether enterprises go by social credit codes.")
    ] = True,
    http: Annotated[str, typer.Option("--http", help="Health and metrics, on loopback.")] = "127.0.0.1:9444",
    key_bits: KeyBits = 3072,
    as_json: AsJson = False,
) -> None:
    """Make a bank's directory: all its keys, the Paillier key among them, and bank.yaml. No private key ever leaves it.

    Example: credfed bank init /srv/icbc --name icbc --data /srv/loans
    """
    with reported_errors(as_json):
        party = PartyId(name)
        _progress(key_bits)
        with new_directory(home) as made:
            card = found_party(made, party, PartyRole.BANK, key_bits, witness_name(party))
            text = bank_settings_text(party, name, data, witness_name(party), uscc, http)
            (made / BANK_FILE).write_text(text, encoding="utf-8")
        _report(home, card, f"credfed bank enrol {home} --coordinator HOST:PORT --token TOKEN", as_json)


def _progress(key_bits: int) -> None:
    errors.print(f"drawing keys, a Paillier key of {key_bits} bits among them: seconds to a minute")


def _report(home: Path, card: PartyCard, follow: str, as_json: bool) -> None:
    if as_json:
        print_json({"party": card.party, "role": card.role.value, "card": card.fingerprint(), "directory": str(home)})
        return
    console.print(f"[green]{escape(str(home))}[/] holds the keys of {card.party}", soft_wrap=True)
    console.print(f"  card   {card.fingerprint()}", soft_wrap=True)
    console.print(f"  next   {escape(follow)}", soft_wrap=True)

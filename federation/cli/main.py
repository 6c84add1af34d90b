"""`credfed`: the federation from the command line."""

from __future__ import annotations

import os

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

import typer

from federation.cli import assess as assess_command
from federation.cli import audit as audit_command
from federation.cli import authority as authority_command
from federation.cli import backup as backup_command
from federation.cli import bank as bank_command
from federation.cli import bank_api as bank_api_command
from federation.cli import bench as bench_command
from federation.cli import consent as consent_command
from federation.cli import console as console_command
from federation.cli import coordinator as coordinator_command
from federation.cli import demo as demo_command
from federation.cli import engine as engine_command
from federation.cli import enrol as enrol_command
from federation.cli import enterprise as enterprise_command
from federation.cli import founding as founding_command
from federation.cli import model as model_command
from federation.cli import node as node_command
from federation.cli import party as party_command
from federation.cli import policy as policy_command
from federation.cli import train as train_command
from federation.cli import transcript as transcript_command
from federation.cli import up as up_command

app = typer.Typer(
    name="credfed",
    help="How risky is a loan to this small firm? Answered jointly by the offices that know, "
    "without a record leaving any of them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
coordinator_command.app.command("init")(founding_command.init_coordinator)
coordinator_command.app.command("invite")(party_command.invite)
coordinator_command.app.command("superlink")(engine_command.superlink)
node_command.app.command("supernode")(engine_command.node_supernode)
bank_command.app.command("supernode")(engine_command.bank_supernode)
coordinator_command.app.add_typer(authority_command.app, name="authority")
node_command.app.command("init")(founding_command.init_node)
node_command.app.command("enrol")(enrol_command.enrol_node)
bank_command.app.command("init")(founding_command.init_bank)
bank_command.app.command("enrol")(enrol_command.enrol_bank)
bank_command.app.command("api")(bank_api_command.api)
bank_command.app.command("labels")(bank_api_command.labels)
bank_command.app.add_typer(bank_api_command.keys_app, name="api-key")

START = "Start here"
app.command(rich_help_panel=START)(demo_command.demo)

BANKS = "For banks"
app.command(rich_help_panel=BANKS)(train_command.train)
app.command(rich_help_panel=BANKS)(assess_command.assess)
app.add_typer(model_command.app, name="model", rich_help_panel=BANKS)
app.add_typer(bank_command.app, name="bank", rich_help_panel=BANKS)

OWNERS = "For data owners"
app.add_typer(node_command.app, name="node", rich_help_panel=OWNERS)
app.add_typer(policy_command.app, name="policy", rich_help_panel=OWNERS)

COORDINATORS = "For coordinators and auditors"
app.add_typer(coordinator_command.app, name="coordinator", rich_help_panel=COORDINATORS)
app.add_typer(party_command.app, name="party", rich_help_panel=COORDINATORS)
app.add_typer(audit_command.app, name="audit", rich_help_panel=COORDINATORS)
app.add_typer(console_command.app, name="console", rich_help_panel=COORDINATORS)

ENTERPRISES = "For enterprises, and who vouches for them"
app.add_typer(enterprise_command.app, name="enterprise", rich_help_panel=ENTERPRISES)
app.add_typer(consent_command.app, name="consent", rich_help_panel=ENTERPRISES)

RUNNING = "Running it"
app.command(rich_help_panel=RUNNING)(up_command.up)
app.command(rich_help_panel=RUNNING)(up_command.status)
app.command(rich_help_panel=RUNNING)(up_command.down)
app.command(rich_help_panel=RUNNING)(backup_command.backup)
app.command(rich_help_panel=RUNNING)(backup_command.restore)

PROVING = "Measuring and proving it"
app.add_typer(bench_command.app, name="bench", rich_help_panel=PROVING)
app.add_typer(transcript_command.app, name="transcript", rich_help_panel=PROVING)

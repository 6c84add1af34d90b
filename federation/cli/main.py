"""`credfed`: the federation from the command line. All commands on one page, each with the place of its code."""

from __future__ import annotations

import os
from typing import Final

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

from federation.cli.menu import Entry, Menu

BANK: Final = Menu(
    "bank",
    "A bank node: asks, and alone can read the answers.",
    {
        "Setting it up": [
            Entry("init", "membership.founding:init_bank", "Make a bank's directory: its keys and bank.yaml."),
            Entry("enrol", "membership.enrol:enrol_bank", "Ask the coordinator to enrol this bank."),
        ],
        "Running it": [
            Entry("run", "bank.run:run", "Run a bank node, with its REST API if bank.yaml names one."),
            Entry("supernode", "membership.engine:bank_supernode", "Run the bank's SuperNode, which relays training."),
        ],
        "Its REST API": [
            Entry("api", "bank.api:api", "Serve the REST API over all parties in this process, for trying out."),
            Entry("api-key", "bank.api:keys_app", "Make, list and revoke the keys that callers need."),
            Entry("labels", "bank.api:labels", "Write the bank's file anew, with outcomes reported as labels."),
        ],
    },
)

NODE: Final = Menu(
    "node",
    "A data node: answers by its owner's own rules.",
    {
        "Setting it up": [
            Entry(
                "init",
                "membership.founding:init_node",
                "Make a data node's directory: its keys, node.yaml and policy.yaml.",
            ),
            Entry("enrol", "membership.enrol:enrol_node", "Ask the coordinator to enrol this data node."),
            Entry("check", "node.sources:check", "Dry-run the node's source: how good its features are."),
        ],
        "Running it": [
            Entry("run", "node.run:run", "Run a data node; it dials the coordinator and listens nowhere."),
            Entry(
                "supernode", "membership.engine:node_supernode", "Run the data node's SuperNode, which relays training."
            ),
        ],
        "The owner's hand": [
            Entry("log", "node.owner:log", "Show what left the node, for whom, under which rule; and what it denied."),
            Entry("stop-answering", "node.owner:stop_answering", "Let nothing more leave the node."),
            Entry("resume", "node.owner:resume", "Let a stopped node answer again, by its policy."),
            Entry("objections", "node.objections:app", "List and decide enterprises' objections to your records."),
            Entry("repair", "node.repair:app", "Put records right: corrected values, repaired events."),
        ],
    },
)

COORDINATOR: Final = Menu(
    "coordinator",
    "The coordinator: relays what it cannot read, and logs it.",
    {
        "Setting it up": [
            Entry(
                "init",
                "membership.founding:init_coordinator",
                "Make the coordinator's directory: keys, authority, settings.",
            ),
            Entry("invite", "membership.party:invite", "Print a one-time token for a new party."),
        ],
        "Running it": [
            Entry("run", "deployment.coordinator:run", "Run the coordinator, which parties dial."),
            Entry("superlink", "membership.engine:superlink", "Run Flower's SuperLink, which carries training."),
            Entry("authority", "membership.authority:app", "Replace the certificate authority, step by step."),
        ],
    },
)

AUDIT: Final = Menu(
    "audit",
    "Read and verify the audit log.",
    {
        "What the log says": [
            Entry("verify", "audit.verify:verify", "Recompute the whole log: every hash, every signature."),
            Entry("search", "audit.search:search_command", "List the leaves that match, in the order of the log."),
            Entry("show", "audit.show:show", "Show one leaf in words, with the proof that it is in the log."),
            Entry("open", "audit.bodies:open_command", "Open the body of a leaf: whom it is about, what was decided."),
            Entry("export", "audit.export:export", "Write the log as files that stand on their own."),
        ],
        "Whether it is right": [
            Entry("reconcile", "audit.reconcile:reconcile_command", "Hold the log against the parties' own records."),
            Entry("alarms", "audit.alarms:alarms", "Hold the log against rules: scraping, misused consents …"),
            Entry("objections", "audit.objections:objections", "List the objections of enterprises, with days left."),
            Entry("report", "audit.report:report_command", "Write a month's report, as page and PDF."),
        ],
        "Who reads it, and for how long": [
            Entry("init-auditor", "audit.bodies:init_auditor", "Make an auditor: keys, and the card parties know."),
            Entry("shred", "audit.shred:shred", "Destroy the keys to all bodies about an enterprise, for good."),
            Entry("retain", "audit.shred:retain", "Destroy all bodies that are older than the retention."),
        ],
    },
)

BENCH: Final = Menu(
    "bench",
    "Measure this machine, beside a baseline in the same run.",
    {
        "What to measure": [
            Entry("paillier", "bench.paillier:paillier", "The Paillier engine, next to naive phe."),
            Entry("training", "bench.training:training", "A scorecard, one tree, and a boosting run."),
            Entry("accuracy", "bench.accuracy:accuracy", "What the federation costs in AUC, over drawn settings."),
            Entry("nodes", "bench.nodes:nodes", "One cohort with few data nodes and with many."),
            Entry("assessment", "bench.assessment:assessment", "Assessments over six processes."),
            Entry("audit", "bench.audit:audit", "The audit log: appends, proofs, verification of the whole."),
            Entry("console", "bench.console:console_pages", "Every page of the console, over a large log."),
        ]
    },
)

CREDFED: Final = Menu(
    "credfed",
    "How risky is a loan to this small firm? Answered jointly by the offices that know, "
    "without a record leaving any of them.",
    {
        "Start here": [
            Entry("demo", "demo:demo", "Make an economy, train a federation on it, assess four firms, verify the log."),
        ],
        "For banks": [
            Entry(
                "train",
                "training.train:train",
                "Train a scorecard or boosted trees on encrypted aggregates of all parties.",
            ),
            Entry("assess", "bank.assess:assess", "Ask all nodes how risky a loan to each enterprise is."),
            Entry("model", "training.model:app", "Show a trained model: its points, its validation and what it cost."),
            BANK,
        ],
        "For data owners": [
            NODE,
            Entry("policy", "node.policy:app", "Check, show and question a data owner's policy."),
        ],
        "For coordinators and auditors": [
            COORDINATOR,
            Entry("party", "membership.party:app", "Who takes part: list, approve, suspend, rotate."),
            AUDIT,
            Entry("console", "audit.console:app", "The auditor's console: the log in a browser, and who may enter."),
        ],
        "For enterprises, and who vouches for them": [
            Entry("enterprise", "enterprise.commands:app", "An enterprise's own rights: its record, its objections."),
            Entry("consent", "enterprise.consent:app", "Issue, revoke, publish and read consents."),
        ],
        "Running it": [
            Entry("up", "deployment.up:up", "Start a federation of separate processes on this machine."),
            Entry("status", "deployment.up:status", "Show which of its processes run, and whether they are ready."),
            Entry("down", "deployment.up:down", "Stop them all."),
            Entry(
                "backup", "deployment.backup:backup", "Put a party's directory into one encrypted file, while it runs."
            ),
            Entry("restore", "deployment.backup:restore", "Put a party's directory back, whole or not at all."),
        ],
        "Measuring and proving it": [
            BENCH,
            Entry("transcript", "transcript:app", "Record the wire, and judge it as an attacker would."),
        ],
    },
)

app: Final = CREDFED.app()

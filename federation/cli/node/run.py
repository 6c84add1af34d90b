"""`credfed node run`: a data owner's process."""

from __future__ import annotations

from federation.cli.output import reported_errors
from federation.cli.running import AsJson, Check, Home, begin, report_check, settings_path
from federation.process.http import check_http
from federation.process.running import run_service
from federation.process.settings import read_settings
from nodes.data_node.opening import open_node_site
from nodes.data_node.service import NodeService
from nodes.data_node.settings import NODE_FILE, NodeSettings


def run(home: Home, check: Check = False, as_json: AsJson = False) -> None:
    """Run a data node from DIR, which holds node.yaml, its keys, tls/, policy and ledger.

    It dials the coordinator and needs no port of its own; while the coordinator is away it dials again. It stops on
    SIGTERM or Ctrl-C. Logs go to standard error, one JSON object a line.
    Exit code 2 for wrong settings, naming file and key.
    """
    with reported_errors(as_json):
        settings = read_settings(settings_path(home, NODE_FILE), NodeSettings)
        check_http(settings.http)
        settings.coordinator.tls.credentials(home)
        with open_node_site(home, settings) as site:
            if check:
                rows, address = len(site.table.ids), settings.coordinator.address
                report_check({"domain": site.domain, "enterprises": rows, "coordinator": address}, as_json)
                return
            begin()
            service = NodeService(home, settings, site)
            run_service(service.run, settings.http, home, lambda: service.ready)

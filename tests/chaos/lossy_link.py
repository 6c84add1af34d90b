"""Joins two network interfaces by a bad line: each frame comes late, and some do not come at all.

    python lossy_link.py ONE OTHER MILLISECONDS PERCENT

What `tc netem` does, for kernels that do not have it: raw frames are read from one interface and written to the other.
"""

from __future__ import annotations

import heapq
import random
import select
import socket
import sys
import time

EVERY_FRAME = 0x0003
LONGEST_FRAME = 1 << 16


def carry(one: str, other: str, seconds: float, share: float) -> None:
    """Carry frames both ways for ever, `seconds` late, but for a random `share` of them."""
    ends = [_open(one), _open(other)]
    late: list[tuple[float, int, int, bytes]] = []
    number, chance = 0, random.Random()
    while True:
        pause = max(late[0][0] - time.monotonic(), 0) if late else None
        for ready in select.select(ends, [], [], pause)[0]:
            frame, address = ready.recvfrom(LONGEST_FRAME)
            if address[2] != socket.PACKET_OUTGOING and chance.random() >= share:
                number += 1
                to = 1 - ends.index(ready)
                heapq.heappush(late, (time.monotonic() + seconds, number, to, frame))
        while late and late[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(late)
            ends[to].send(frame)


def _open(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_FRAME))
    end.bind((interface, 0))
    return end


if __name__ == "__main__":
    carry(sys.argv[1], sys.argv[2], int(sys.argv[3]) / 1000, int(sys.argv[4]) / 100)

"""The coordinator's desk for enterprises in a federation of one process, whose nodes are asked over the grid."""

from __future__ import annotations

from collections.abc import Callable

from federation.enterprise import EnterpriseDesk
from federation.rounds import Deliveries, Rounds


class LocalEnterprises:
    """Serves enterprises; `run` does rounds over the federation's grid."""

    def __init__(self, desk: EnterpriseDesk, run: Callable[[Rounds], None]) -> None:
        self.desk, self._run = desk, run

    def serve(self, parcel: bytes) -> bytes:
        """Return the answer to an enterprise's parcel, and bring what it has led to where it belongs."""
        answers: list[bytes] = []
        self._run(Deliveries(lambda deliver: answers.append(self.desk.serve(parcel, deliver)), "enterprise"))
        self.bring()
        return answers[0]

    def bring(self) -> None:
        """Bring objections to the nodes, and their decisions into the log, if there are any."""
        if self.desk.rounds.due:
            self._run(Deliveries(self.desk.rounds.run, "enterprise"))

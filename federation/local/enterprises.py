"""The coordinator's desk for enterprises in a federation of one process, whose nodes are asked over the grid."""

from __future__ import annotations

from collections.abc import Callable

from flwr.serverapp import Grid

from federation.enterprise import EnterpriseDesk
from federation.rounds import Rounds, addresses, exchange
from federation.witnessing import Deliver


class LocalEnterprises:
    """Serves enterprises; `run` does rounds over the federation's grid."""

    def __init__(self, desk: EnterpriseDesk, run: Callable[[Rounds], None]) -> None:
        self.desk, self._run = desk, run

    def serve(self, parcel: bytes) -> bytes:
        """Return the answer to an enterprise's parcel, and bring what it has led to where it belongs."""
        answers: list[bytes] = []
        self._run(_Delivering(lambda deliver: answers.append(self.desk.serve(parcel, deliver))))
        self.bring()
        return answers[0]

    def bring(self) -> None:
        """Bring objections to the nodes, and their decisions into the log, if there are any."""
        if self.desk.rounds.due:
            self._run(_Delivering(self.desk.rounds.run))


class _Delivering:
    """Rounds in which something takes parcels to data nodes, whenever it likes, and gets their replies."""

    def __init__(self, work: Callable[[Deliver], None]) -> None:
        self._work = work

    def run(self, grid: Grid) -> None:
        """Do the work over a grid."""
        nodes = addresses(grid)
        self._work(lambda parcels: exchange(grid, nodes, parcels, "enterprise"))

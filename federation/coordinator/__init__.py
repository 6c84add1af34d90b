"""The coordinator: routes every envelope, writes each into the log before it goes on, and combines ciphertexts.

It holds no decryption key and no enterprise data. What it learns is what its log says: who asked what of whom, when,
and how large the messages were.

router       takes the envelopes of one party, or of many with one commit, and hands each to the desk that it is for
trainings    the desk of training runs and of invitations among banks
questions    the desk of single questions and of batches
consents     what it checks of consents, without learning whose they are
policies     under which policy each node works, as the log says
consent_book which consents the log has a leaf of: an index beside it
showings     writes the leaves of consents, each once
bodies       sealed statements on their way into the log
leaves       leaves that wait for one commit, and the receipts that wait for them
site         what the coordinator brings: identity, pins, log, clock
"""

from federation.coordinator.router import Coordinator
from federation.coordinator.site import CoordinatorSite
from federation.coordinator.trainings import announced

__all__ = ["Coordinator", "CoordinatorSite", "announced"]

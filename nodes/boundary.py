"""The one door of an agent: bytes in, bytes out, and never an exception, which would carry its text to the sender."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

from protocols.channel.envelope import Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.errors import CreditFederationError

logger = logging.getLogger(__name__)
Receive = Callable[[tuple[Envelope, ...]], list[Envelope]]


def handle_parcel(party: str, data: bytes, receive: Receive) -> bytes:
    """Return the reply to a parcel: envelopes, or the stable code of the error. Texts stay in the party's own log.

    The text of an error from outside the federation's own tree may quote a value; it goes nowhere.
    """
    try:
        return pack_parcel(tuple(receive(open_parcel(data))))
    except CreditFederationError as error:
        logger.warning("%s refused a parcel of %d bytes: %s: %s", party, len(data), error.code, error)
        return pack_refusal(error.code)
    except Exception as error:
        logger.error("%s failed on a parcel of %d bytes: %s", party, len(data), type(error).__name__)
        logger.debug("where it failed:\n%s", "".join(traceback.format_tb(error.__traceback__)))
        return pack_refusal("INTERNAL_ERROR")

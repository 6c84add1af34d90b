"""A bank's systems that ask without end, by its REST API, and write down what they got and when."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from federation.local.layout import BANK
from tests.chaos.breaking import PORTS, Breakable

ASKERS = 4
PAUSE_SECONDS = 0.05
ANSWER_SECONDS = 30.0
RECOVERY_SECONDS = 180.0
Answered = tuple[str, int | None, str | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """One question: when it was asked and answered, for whom, with what; `code` is "" for a score."""

    asked: float
    answered: float
    enterprise: str
    code: str
    result: Answered | None = None
    request: str = ""
    receipt: int | None = None


@dataclass(slots=True)
class Load:
    """Everything that was answered so far."""

    answers: list[Answer] = field(default_factory=list)

    def codes(self, since: float, until: float) -> Counter[str]:
        """Count what users got for questions that they asked in between: "" is an answer."""
        return Counter(answer.code for answer in list(self.answers) if since <= answer.asked <= until)

    def first_after(self, moment: float) -> Answer | None:
        """Return the first good answer to a question that was asked after a moment."""
        good = [answer for answer in list(self.answers) if answer.asked >= moment and not answer.code]
        return min(good, key=lambda answer: answer.answered, default=None)

    def await_recovery(self, moment: float) -> float:
        """Return how many seconds after a moment the first question asked since then was answered."""
        limit = time.monotonic() + RECOVERY_SECONDS
        while (found := self.first_after(moment)) is None:
            assert time.monotonic() < limit, self.codes(moment, limit)
            time.sleep(0.02)
        return found.answered - moment


@contextmanager
def asking(federation: Breakable, key: str, consents: Mapping[str, str]) -> Iterator[Load]:
    """Ask about these enterprises in turn, several at once, while the block runs."""
    load, over = Load(), threading.Event()
    turn, lock = itertools.cycle(consents), threading.Lock()

    def ask() -> None:
        with federation.namespaces.inside(BANK):
            while not over.is_set():
                with lock:
                    enterprise = next(turn)
                load.answers.append(_ask(key, enterprise, consents[enterprise]))
                time.sleep(PAUSE_SECONDS)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(ASKERS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask(key: str, enterprise: str, consent: str) -> Answer:
    asked = time.monotonic()
    try:
        reply = httpx.post(
            f"http://127.0.0.1:{PORTS.bank_api}/v1/assessments",
            headers={"Authorization": f"Bearer {key}"},
            json={"enterprise": enterprise, "consent": consent},
            timeout=ANSWER_SECONDS,
        )
        body = reply.json()
    except (httpx.HTTPError, json.JSONDecodeError):
        return Answer(asked, time.monotonic(), enterprise, "NO_CONNECTION")
    if reply.status_code != httpx.codes.CREATED:
        return Answer(asked, time.monotonic(), enterprise, str(body.get("code", reply.status_code)))
    result = (str(body["status"]), body["score"], body["grade"])
    code = "" if body["status"] == "ok" else str(body["code"])
    return Answer(asked, time.monotonic(), enterprise, code, result, str(body["request"]), body["receipt"])


def wrong_answers(answers: Sequence[Answer], expected: Mapping[str, Answered]) -> list[Answer]:
    """Return every answer with a score that is not the one that the enterprise has."""
    return [
        answer
        for answer in answers
        if answer.result and not answer.code and answer.result != expected[answer.enterprise]
    ]

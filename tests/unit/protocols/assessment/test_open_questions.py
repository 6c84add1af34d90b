"""A bank that opens more than it may loses its own oldest questions, and no other bank any."""

from __future__ import annotations

from protocols.assessment.waiting import OpenQuestions


def test_a_bank_that_floods_evicts_its_own_questions_alone() -> None:
    waiting: OpenQuestions[int] = OpenQuestions(3)
    waiting.put("quiet", b"q", 0)
    for number in range(10):
        waiting.put("loud", number.to_bytes(1), number)
    assert waiting.get(b"q") == 0
    assert [waiting.get(number.to_bytes(1)) for number in range(10)] == [None] * 7 + [7, 8, 9]
    assert len(waiting) == 4


def test_a_question_is_kept_until_it_is_taken() -> None:
    waiting: OpenQuestions[str] = OpenQuestions(2)
    waiting.put("bank", b"1", "first")
    waiting.put("bank", b"1", "again")
    assert (b"1" in waiting, len(waiting), waiting.pop(b"1"), waiting.pop(b"1")) == (True, 1, "again", None)
    for number in range(4):
        waiting.put("bank", number.to_bytes(1), "more")
    assert len(waiting) == 2

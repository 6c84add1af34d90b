"""A domain of any script has a party id of ASCII, and people read the domain's own name back."""

from __future__ import annotations

import pytest

from federation.local.layout import name_of, party_of


@pytest.mark.parametrize("name", ["tax", "税务", "tax_north", "税务-north", "Sécurité", "x" * 32])
def test_a_party_is_shown_by_the_name_that_it_was_given(name: str) -> None:
    assert party_of(name).isascii()
    assert name_of(party_of(name)) == name


@pytest.mark.parametrize("party", ["xn-", "xn-\x7f", "xn-99999999", "xn-é"])
def test_what_encodes_no_name_is_shown_as_it_is(party: str) -> None:
    assert name_of(party) == party

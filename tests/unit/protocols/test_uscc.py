"""The USCC's two check characters, and the codes that belong to nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc as stdnum_uscc

from protocols import uscc
from protocols.errors import ConfigurationError

PUBLISHED = ["91350100M000100Y43", "91999999MA0DEM013K", "91999999MADAEEB980"]
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
serials = st.integers(min_value=0, max_value=31**6 - 1)


@pytest.mark.parametrize("code", PUBLISHED)
def test_published_codes_are_valid(code: str) -> None:
    uscc.validate(code)
    assert uscc.is_valid(code)


@given(serials)
def test_a_synthetic_code_is_valid_here_and_in_stdnum_and_lies_in_no_region(serial: int) -> None:
    code = uscc.synthetic(serial)
    uscc.validate(code)
    assert stdnum_uscc.is_valid(code)
    assert code[2:8] == "999999"


@given(serials, serials)
def test_two_serials_never_share_a_code(one: int, other: int) -> None:
    assert (uscc.synthetic(one) == uscc.synthetic(other)) == (one == other)


def test_a_run_of_serials_gives_distinct_codes_that_are_not_in_serial_order() -> None:
    codes = [uscc.synthetic(serial) for serial in range(9_990_000, 10_000_000)]
    assert len(set(codes)) == len(codes)
    assert codes != sorted(codes)


@pytest.mark.parametrize("serial", [-1, 31**6])
def test_a_serial_out_of_range_is_our_own_misuse(serial: int) -> None:
    with pytest.raises(ValueError, match="serial must lie in"):
        uscc.synthetic(serial)


@given(serials, st.integers(0, 17), st.sampled_from(ALPHABET))
def test_any_single_wrong_character_is_noticed(serial: int, position: int, character: str) -> None:
    code = uscc.synthetic(serial)
    changed = code[:position] + character + code[position + 1 :]
    assert uscc.is_valid(changed) == (changed == code)


def test_the_organisation_codes_own_check_is_made_even_where_the_outer_check_holds() -> None:
    inner_wrong = "91350100M000100Y5"
    code = inner_wrong + stdnum_uscc.calc_check_digit(inner_wrong)
    assert stdnum_uscc.is_valid(code)
    with pytest.raises(ConfigurationError, match="organisation code") as caught:
        uscc.validate(code)
    assert caught.value.code == "INVALID_USCC"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "91350100M000100Y4",
        "91350100M000100Y433",
        " 91350100M000100Y43",
        "91350100m000100y43",
        "91350100M000100Y4\n",
        "91350100M0001O0Y43",
        "913501X0M000100Y43",
        "９1350100M000100Y43",
        "91350100M000100Y44",
    ],
)
def test_a_malformed_code_is_refused_with_a_stable_code(code: str) -> None:
    assert not uscc.is_valid(code)
    with pytest.raises(ConfigurationError) as caught:
        uscc.validate(code)
    assert caught.value.code == "INVALID_USCC"


def test_the_error_does_not_repeat_the_code() -> None:
    with pytest.raises(ConfigurationError) as caught:
        uscc.validate("91350100M000100Y44")
    assert "350100" not in str(caught.value)
    assert "91**************44" in str(caught.value)


@pytest.mark.parametrize(("body", "check"), [("M000100Y", "4"), ("D2143569", "X"), ("MA0DEM01", "3")])
def test_organisation_check_characters(body: str, check: str) -> None:
    assert uscc.organisation_check_character(body) == check


def test_a_rural_cooperatives_code_with_a_lettered_authority_is_accepted() -> None:
    body = f"N2999999MF000001{uscc.organisation_check_character('MF000001')}"
    uscc.validate(body + stdnum_uscc.calc_check_digit(body))


@pytest.mark.parametrize("body", ["M000100", "m000100Y", "M000100-", "M00010０Y"])
def test_an_organisation_code_of_the_wrong_shape_is_our_own_misuse(body: str) -> None:
    with pytest.raises(ValueError, match="eight characters"):
        uscc.organisation_check_character(body)

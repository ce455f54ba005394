"""Digests as values: they add up, survive being written down, and their differences are told in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archival_pipeline.archival.digests import EMPTY, Digest, Measure, differences

SUMS = st.integers(0, 2**64 - 1)
DIGESTS = st.builds(Digest, st.integers(0, 2**40), SUMS, SUMS)


@given(DIGESTS)
def test_what_was_written_is_read_again(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest


@given(DIGESTS, DIGESTS, DIGESTS)
def test_addition_knows_no_order_and_no_groups(one: Digest, two: Digest, three: Digest) -> None:
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + EMPTY == one


@given(st.integers(-(2**90), 2**90), st.integers(-(2**90), 2**90))
def test_sums_of_the_server_stay_in_range(high: int, low: int) -> None:
    digest = Digest.from_sums(1, high, low)

    assert (digest.high - high) % 2**64 == 0
    assert 0 <= digest.low < 2**64
    assert Digest.parse(str(digest)) == digest


def test_measures_add_up_by_table() -> None:
    one = Measure({"a": Digest(1, 1, 1), "b": Digest(2, 2, 2)}, lost=1)
    two = Measure({"b": Digest(1, 2**64 - 1, 0), "c": EMPTY}, ambiguous=2)

    both = one + two

    assert both.digests == {"a": Digest(1, 1, 1), "b": Digest(3, 1, 2), "c": EMPTY}
    assert (both.lost, both.ambiguous, both.rows) == (1, 2, 4)
    assert both.filled().keys() == {"a", "b"}


def test_differences_are_told_in_words() -> None:
    here = {"same": Digest(1, 1, 1), "fewer": Digest(2, 1, 1), "other": Digest(1, 1, 1)}
    there = {"same": Digest(1, 1, 1), "fewer": Digest(1, 1, 1), "other": Digest(1, 1, 2), "new": Digest(3, 0, 0)}

    assert differences(here, there) == [
        "fewer: 2 rows expected, 1 found",
        "new: 0 rows expected, 3 found",
        "other: 1 rows expected, 1 found with other content",
    ]
    assert differences(here, here) == []
    assert differences({"empty": EMPTY}, {}) == []

"""How soon a proxy that died is started again."""

from __future__ import annotations

from itertools import accumulate

from draas.adapters.routers.supervised import delay_after


def test_one_that_dies_again_and_again_is_started_ever_later() -> None:
    delays = list(accumulate([0.0] * 9, delay_after, initial=0.0))
    assert delays[1:] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_one_that_lived_is_back_at_once_whatever_was_before() -> None:
    assert delay_after(5.0, 60.0) == 0.0

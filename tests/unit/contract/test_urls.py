"""What may stand for a server."""

from __future__ import annotations

import pytest

from draas.contract.urls import is_base_url


@pytest.mark.parametrize(
    ("text", "good"),
    [
        pytest.param("http://localhost:5000", True, id="usual"),
        pytest.param("https://[::1]:5000/base", True, id="v6 with a base"),
        pytest.param("http://[::bad", False, id="half an address"),
        pytest.param("http://h:port", False, id="no port"),
        pytest.param("http://", False, id="no host"),
        pytest.param("localhost:5000", False, id="no scheme"),
        pytest.param("http://user:word@h", False, id="with a password"),
        pytest.param("http://a b", False, id="blank"),
    ],
)
def test_base_urls(text: str, good: bool) -> None:
    assert is_base_url(text) is good

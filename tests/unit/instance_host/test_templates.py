"""Templates of reactions."""

from __future__ import annotations

import pytest

from draas.instance_host.errors import ApiError
from draas.instance_host.reactions.templates import check_template, context_of, render

UPDATE = {"type": "UPDATE", "before": {"n": 1}, "after": {"n": 2, "tags": ["a"], "on": True}}

RENDERED = [
    pytest.param("{{after.n}}", "2", id="number"),
    pytest.param("{{ before.n }} -> {{{after.n}}}", "1 -> 2", id="blanks and three braces"),
    pytest.param('{"n": {{after.n}}}', '{"n": 2}', id="a brace after the tag"),
    pytest.param("{{json after.tags}}", '["a"]', id="json"),
    pytest.param('{"t": {{{json after.tags}}}}', '{"t": ["a"]}', id="json in three braces"),
    pytest.param("{{after.tags}}/{{after.on}}", '["a"]/true', id="lists and booleans"),
    pytest.param("[{{after.none}}] {{json after.none}}", "[] null", id="absent"),
    pytest.param("{{operation}} {{query_name}} {{queryId}}", "UPDATE q q", id="names"),
    pytest.param("{{data.n}} {{sequence}}", "2 7", id="data is the row now"),
]


@pytest.mark.parametrize(("template", "expected"), RENDERED)
def test_templates_render(template: str, expected: str) -> None:
    context = context_of("q", UPDATE, {"sequence": 7})
    assert render(check_template(template, "t"), context) == expected


@pytest.mark.parametrize("template", ["{{#if a}}x{{/if}}", "{{upper a}}", "{{", 5, None])
def test_what_is_not_understood_is_refused(template: object) -> None:
    with pytest.raises(ApiError, match=r"routes\.q\.added"):
        check_template(template, "routes.q.added")

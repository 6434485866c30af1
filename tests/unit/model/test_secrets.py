"""Secrets are recognised under every name and place, references and the rest stay readable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.model.secrets import is_secret, mask, masked
from tests.support.documents import documents, json_values, unhurried

SECRET = "s3cr3t-value"
NAMES = [
    "password",
    "Password",
    "user_password",
    "passwd",
    "pwd",
    "token",
    "accessToken",
    "bearer-token",
    "secret",
    "client_secret",
    "apiKey",
    "X-Api-Key",
    "connectionString",
    "CONNECTION_STRING",
    "credentials",
    "Authorization",
    "privateKey",
    "sharedAccessKey",
    "Set-Cookie",
    "x-functions-key",
    "storageKey",
    "authKey",
    "client_key",
    "basicAuth",
    "auth_header",
    "jwt",
    "sig",
    "pass",
    "dbPass",
    "passphrase",
]


@pytest.mark.parametrize("name", NAMES)
def test_secret_names(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "host",
            "user",
            "tables",
            "tableKeys",
            "keyColumns",
            "secretStore",
            "maxTokens",
            "monkey",
        ),
        *("keys", "keyField", "partitionKey", "primaryKey", "storageKeyField", "auth", "author"),
        *("jwtIssuer", "design", "config", "bypass", "compass", "lowPass", ""),
    ],
)
def test_harmless_names(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"password": SECRET}, {"password": "***"}, id="plain"),
        pytest.param({"password": 1234}, {"password": "***"}, id="number"),
        pytest.param({"password": ""}, {"password": "***"}, id="empty-is-not-told"),
        pytest.param({"token": None}, {"token": None}, id="null"),
        pytest.param({"useToken": True}, {"useToken": True}, id="switch"),
        pytest.param({"a": [{"token": [SECRET]}]}, {"a": [{"token": ["***"]}]}, id="nested"),
        pytest.param(
            {"credentials": {"user": SECRET, "x": {"y": SECRET}}},
            {"credentials": {"user": "***", "x": {"y": "***"}}},
            id="everything-below",
        ),
        pytest.param({"password": "${DB}"}, {"password": "${DB}"}, id="reference"),
        pytest.param(
            {"password": "${DB:-" + SECRET + "}"}, {"password": "${DB:-***}"}, id="its-default"
        ),
        pytest.param(
            {"password": {"kind": "EnvironmentVariable", "name": "DB", "default": SECRET}},
            {"password": {"kind": "EnvironmentVariable", "name": "DB", "default": "***"}},
            id="object-default",
        ),
        pytest.param(
            {"password": {"kind": "Secret", "name": "db"}},
            {"password": {"kind": "Secret", "name": "db"}},
            id="secret-by-name",
        ),
        pytest.param({"url": "postgres://u:p@h/d"}, {"url": "postgres://***@h/d"}, id="user-info"),
        pytest.param({"url": "amqp://u:p/w@h"}, {"url": "amqp://***@h"}, id="slash-in-password"),
        pytest.param({"url": "http://h/a"}, {"url": "http://h/a"}, id="url-without-user"),
        pytest.param(
            {"dsn": "host=h password=" + SECRET + " user=u"},
            {"dsn": "host=h password=*** user=u"},
            id="key-value",
        ),
        pytest.param(
            {"dsn": "Server=h;Pwd='a b';X=1"}, {"dsn": "Server=h;Pwd=***;X=1"}, id="quoted"
        ),
        pytest.param(
            {"baseUrl": "http://h/?api_key=" + SECRET + "&x=1"},
            {"baseUrl": "http://h/?api_key=***&x=1"},
            id="url-parameter",
        ),
        pytest.param(
            {"headers": [{"name": "Authorization", "value": SECRET}]},
            {"headers": [{"name": "Authorization", "value": "***"}]},
            id="header-list",
        ),
        pytest.param(
            {"headers": [{"Name": "Authorization", "Value": SECRET}]},
            {"headers": [{"Name": "Authorization", "Value": "***"}]},
            id="header-list-capitalised",
        ),
        pytest.param(
            {"header": "X-Api-Key", "values": [SECRET]},
            {"header": "X-Api-Key", "values": ["***"]},
            id="header-with-values",
        ),
        pytest.param(
            {"auth": {"user": "u", "pass": SECRET}},
            {"auth": {"user": "u", "pass": "***"}},
            id="auth-object",
        ),
        pytest.param({"auth": "u:p"}, {"auth": "***"}, id="auth-text"),
        pytest.param({"auth": ["u", "p"]}, {"auth": ["***", "***"]}, id="auth-pair"),
        pytest.param({"primaryKey": "q" * 86 + "=="}, {"primaryKey": "***"}, id="key-of-a-service"),
        pytest.param({"primaryKey": "order_id"}, {"primaryKey": "order_id"}, id="key-column"),
        pytest.param({"primaryKey": ["a"]}, {"primaryKey": ["a"]}, id="key-columns"),
        pytest.param(
            {"dsn": "Server=h; Password = " + SECRET + ";X=1"},
            {"dsn": "Server=h; Password = ***;X=1"},
            id="blanks-around",
        ),
        pytest.param({"dsn": "PWD={GE;H}}EIM};X=1"}, {"dsn": "PWD=***;X=1"}, id="braces"),
        pytest.param({"dsn": "a=1;passphrase=x"}, {"dsn": "a=1;passphrase=***"}, id="passphrase"),
        pytest.param(
            {"url": "https://h/c?sv=1&sig=aB%2F&se=2"},
            {"url": "https://h/c?sv=1&sig=***&se=2"},
            id="shared-access-signature",
        ),
        pytest.param(
            {"query": "MATCH (a), (b) WHERE a.token = b.token AND a.x = 1"},
            {"query": "MATCH (a), (b) WHERE a.token = b.token AND a.x = 1"},
            id="properties-of-a-query",
        ),
        pytest.param(
            {"log": "sent Authorization: Bearer x.y and more"},
            {"log": "sent Authorization: Bearer *** and more"},
            id="a-header-in-a-text",
        ),
        pytest.param(
            {"log": '{"authorization": "Basic dTpw"}'},
            {"log": '{"authorization": "Basic ***"}'},
            id="a-header-in-json",
        ),
        pytest.param({"a": "authorization failed"}, {"a": "authorization failed"}, id="a-word"),
        pytest.param(
            {"headers": [{"name": "Accept", "value": "x"}]},
            {"headers": [{"name": "Accept", "value": "x"}]},
            id="harmless-header",
        ),
    ],
)
def test_masking(value: Any, expected: Any) -> None:
    assert mask(value) == expected


def test_a_value_is_masked_for_the_place_where_it_stands() -> None:
    assert masked(SECRET, ["sources", "pg", "Password"]) == "***"
    assert masked("h", ["sources", "pg", "host"]) == "h"
    assert masked({"a": [SECRET]}, ["credentials"]) == {"a": ["***"]}


@st.composite
def hidden(draw: st.DrawFn) -> Any:
    """A secret somewhere below a secret name, somewhere in a document."""
    value: Any = draw(st.sampled_from([SECRET, f"${{V:-{SECRET}}}"]))
    for step in draw(st.lists(st.sampled_from(["list", "a", "Value"]), max_size=3)):
        value = [value] if step == "list" else {step: value}
    value = {draw(st.sampled_from(NAMES)): value}
    for step in draw(st.lists(st.sampled_from(["list", "a", "sources"]), max_size=3)):
        value = [value, 1] if step == "list" else {step: value}
    return draw(documents()) | {"planted": value}


@unhurried
@given(hidden())
def test_a_secret_never_leaks(document: Any) -> None:
    assert SECRET not in json.dumps(mask(document))


@unhurried
@given(json_values)
def test_masking_twice_is_masking_once_and_keeps_the_structure(value: Any) -> None:
    once = mask(value)
    assert mask(once) == once
    assert _shape(once) == _shape(value)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(member) for key, member in value.items()}
    return [_shape(item) for item in value] if isinstance(value, list) else None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("QUJD" * 250_000 + "==", id="base64"),
        pytest.param("a" * 1_000_000 + "://h=1", id="scheme"),
        pytest.param("://" * 300_000, id="separators"),
        pytest.param("-" * 1_000_000 + "=x", id="dashes"),
    ],
)
def test_long_texts_pass_in_linear_time(text: str) -> None:
    assert mask({"certificate": text}) == {"certificate": text}

"""A hostile value never becomes syntax: what the compilers write is read back by other parsers, and means the value."""

from __future__ import annotations

import io
import json
import re

import hcl2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrowgate.compile import CompileError, postgres
from narrowgate.compile.arns import place_arn
from narrowgate.compile.backends.aws import AwsGrant
from narrowgate.compile.errors import PlaceError
from narrowgate.compile.hcl import PathRule, quote, render_policy
from narrowgate.compile.references import Reference, Value, parse_template

# Every character that ends or opens something in SQL, HCL, JSON, YAML, an ARN or a Vault template, and some text.
SYNTAX = "'\"\\`$ {}()[]*?:;,./%#-+=@~^&|<>!_\n\t\rñ漢aZ9"
HOSTILE = st.text(st.sampled_from(SYNTAX), max_size=30) | st.text(max_size=30)
S3 = parse_template("arn:${env.partition}:s3:::${binding.bucket}/${scope.x}/*")
LOGS = parse_template("arn:${env.partition}:logs:${env.region}:${env.account}:log-group:${scope.x}:*")
ENV: dict[Reference, Value] = {
    Reference("env", "partition"): "aws",
    Reference("env", "region"): "eu-central-1",
    Reference("env", "account"): "111111111111",
    Reference("binding", "bucket"): "acme-dev",
}


def read_sql_literal(text: str) -> str:
    """Read one SQL string literal as PostgreSQL's lexer does; fail if anything stands outside it."""
    escapes = text.startswith("E'")
    position, value = (2 if escapes else 1), []
    assert text[position - 1] == "'"
    while True:
        character = text[position]
        if character == "'":
            if text[position + 1 : position + 2] != "'":
                break
            position += 1
        elif character == "\\" and escapes:
            position += 1
            assert text[position] == "\\", "only a backslash is ever escaped"
        value.append(text[position])
        position += 1
    assert position == len(text) - 1, f"{text!r} goes on after its end"
    return "".join(value)


@given(HOSTILE)
def test_an_sql_literal_means_its_value(value: str) -> None:
    if "\0" in value:
        with pytest.raises(CompileError):
            postgres.quote_literal(value)
        return
    literal = postgres.quote_literal(value)
    assert read_sql_literal(literal) == value
    # Without standard_conforming_strings a backslash would escape: none stands in a plain literal.
    assert literal.startswith("E") or "\\" not in literal


@given(HOSTILE)
def test_an_sql_identifier_means_its_name(name: str) -> None:
    try:
        quoted = postgres.quote_identifier(name)
    except CompileError:
        assert not name or not name.isprintable() or len(name.encode()) > 63
        return
    assert quoted[0] == quoted[-1] == '"'
    inner = quoted[1:-1]
    assert re.fullmatch(r'([^"]|"")*', inner)
    assert inner.replace('""', '"') == name


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(HOSTILE, max_size=3)), max_size=3))
def test_a_row_condition_holds_its_values_only_as_literals(rows: list[dict[str, list[str]]]) -> None:
    try:
        condition = postgres.row_condition(rows)
    except CompileError:
        assert any("\0" in value for row in rows for values in row.values() for value in values)
        return
    outside = re.sub(r"E'([^'\\]|''|\\\\)*'|'([^']|'')*'", "?", condition)
    assert re.fullmatch(r'( OR |\(|\)|TRUE|FALSE|"[abc]"| = | IN | AND |\?|, )*', outside), condition


@given(HOSTILE)
def test_a_vault_policy_is_read_back_as_it_was_meant(text: str) -> None:
    try:
        rendered = render_policy("title", [PathRule("a/b", ["read"], text, {"ttl": [text]})])
    except CompileError:
        assert "${" in text or "%{" in text or not text.isprintable()
        return
    parsed = hcl2.load(io.StringIO(rendered))
    assert len(parsed["path"]) == 1
    (block,) = parsed["path"]
    assert [key.strip('"') for key in block if not key.startswith("__")] == ["a/b"]


@given(HOSTILE)
def test_only_an_exact_path_stands_in_a_vault_policy(path: str) -> None:
    try:
        rendered = render_policy("title", [PathRule(path, ["read"], "reason")])
    except CompileError:
        return
    assert not re.search(r"[*+{}\"\\\s]", path)
    assert quote(path) == f'"{path}"'
    assert f"path {quote(path)} {{" in rendered


def unescape(pattern: str) -> tuple[str, bool]:
    """Return the text that an IAM pattern matches, and whether it holds a wildcard or variable of its own."""
    literal = re.sub(r"\$\{([*?$])\}", lambda match: f"\0{match[1]}", pattern)
    bare = re.sub("\0.", "", literal)
    return re.sub("\0(.)", r"\1", literal), bool(re.search(r"[*?]|\$\{", bare))


@given(HOSTILE)
def test_an_s3_prefix_in_an_arn_matches_only_itself(value: str) -> None:
    try:
        (arn,) = place_arn(S3).expand({**ENV, Reference("scope", "x"): value})
    except PlaceError:
        assert not value or not value.isprintable() or len(value.encode()) > 1024
        return
    assert arn.startswith("arn:aws:s3:::acme-dev/")
    assert arn.endswith("/*")
    assert unescape(arn.removeprefix("arn:aws:s3:::acme-dev/").removesuffix("/*")) == (value, False)


@given(HOSTILE)
def test_a_log_group_in_an_arn_stays_one_segment(value: str) -> None:
    try:
        (arn,) = place_arn(LOGS).expand({**ENV, Reference("scope", "x"): value})
    except PlaceError:
        return
    segments = arn.split(":")
    assert segments[:6] == ["arn", "aws", "logs", "eu-central-1", "111111111111", "log-group"]
    assert segments[6:] == [value, "*"]


@given(HOSTILE)
def test_a_condition_value_matches_only_itself(value: str) -> None:
    grant = AwsGrant(
        iam=["s3:ListBucket"],
        on="arn:${env.partition}:s3:::${binding.bucket}",
        when={"StringLike": {"s3:prefix": "${scope.x}/*"}, "StringEquals": {"s3:delimiter": "${scope.x}"}},
    )
    try:
        (resolved,) = grant.resolve({**ENV, Reference("scope", "x"): value})
    except PlaceError:
        assert not value or not value.isprintable()
        return
    values = {c.operator: c.values[0] for c in resolved.conditions}
    assert unescape(values["StringLike"].removesuffix("/*")) == (value, False)
    # StringEquals has no wildcards, but variables all the same.
    assert values["StringEquals"].replace("${$}", "\0").replace("\0", "$") == value
    assert "${" not in values["StringEquals"].replace("${$}", "")
    assert json.loads(json.dumps(values)) == values

"""SQL is quoted by type and place; what cannot be quoted is refused."""

from __future__ import annotations

from typing import Any

import pytest

from narrowgate.compile import CompileError, postgres

GROUP = "ng_dev_w_t_00000000"


def table(privilege: str, columns: list[str], rows: list[dict[str, list[Any]]]) -> dict[str, Any]:
    return {"schema": "public", "table": "t", "privilege": privilege, "columns": columns, "rows": rows}


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("emea", "'emea'"),
        ("o'brien", "'o''brien'"),
        ("'; DROP TABLE t; --", "'''; DROP TABLE t; --'"),
        ("a\\'b", "E'a\\\\''b'"),
        ("", "''"),
        ("ü$$", "'ü$$'"),
        (7, "7"),
        (-7, "(-7)"),
        (True, "TRUE"),
        (False, "FALSE"),
    ],
)
def test_a_literal_is_quoted_by_its_type(value: str | int, literal: str) -> None:
    assert postgres.quote_literal(value) == literal


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_text_that_postgresql_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(CompileError):
        postgres.quote_literal(value)


@pytest.mark.parametrize(("name", "quoted"), [("t", '"t"'), ('a"b', '"a""b"'), ("Ä", '"Ä"')])
def test_an_identifier_is_quoted(name: str, quoted: str) -> None:
    assert postgres.quote_identifier(name) == quoted


@pytest.mark.parametrize("name", ["", "a\0", "a\nb", "x" * 64, "ä" * 32])
def test_an_identifier_that_would_be_cut_is_refused(name: str) -> None:
    with pytest.raises(CompileError):
        postgres.quote_identifier(name)


@pytest.mark.parametrize("argument", ["text; drop", "text)", "Text", "varchar(3)", "a'b", ""])
def test_a_function_argument_that_is_no_type_is_refused(argument: str) -> None:
    with pytest.raises(CompileError):
        postgres.function_signature({"schema": "s", "function": "f", "arguments": [argument]})


def test_no_alternative_is_no_row_and_an_empty_one_is_all() -> None:
    assert postgres.row_condition([]) == "FALSE"
    assert postgres.row_condition([{}]) == "TRUE"
    assert postgres.row_condition([{"a": []}]) == "FALSE"


def test_alternatives_are_joined_by_or_and_columns_by_and() -> None:
    rows = [{"b": [1], "a": ["x", "y"]}, {"c": [True]}]
    assert postgres.row_condition(rows) == '("a" IN (\'x\', \'y\') AND "b" = 1) OR ("c" = TRUE)'


def test_each_command_has_the_clauses_that_bind_it() -> None:
    rows = [{"tenant": ["x"]}]
    statements = postgres.build_grant_statements(
        GROUP,
        [
            table("SELECT", ["a"], rows),
            table("INSERT", ["a"], rows),
            table("UPDATE", ["a"], rows),
            table("DELETE", [], rows),
        ],
    )
    condition = "(\"tenant\" = 'x')"
    policies = {s.split(" FOR ")[1] for s in statements if s.startswith("CREATE POLICY")}
    assert policies == {
        f'SELECT TO "{GROUP}" USING {condition}',
        f'INSERT TO "{GROUP}" WITH CHECK {condition}',
        f'UPDATE TO "{GROUP}" USING {condition} WITH CHECK {condition}',
        f'DELETE TO "{GROUP}" USING {condition}',
    }


@pytest.mark.parametrize(
    "bad", [table("SELECT", [], [{}]), table("DELETE", ["a"], [{}]), table("TRUNCATE", ["a"], [{}])]
)
def test_a_grant_without_columns_or_of_another_privilege_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(CompileError):
        postgres.build_grant_statements(GROUP, [bad])


def test_the_group_role_cannot_log_in_and_the_broker_cannot_use_it() -> None:
    create, admit = postgres.build_role_statements(GROUP, "vault_broker")
    assert " NOLOGIN " in create
    assert admit.endswith("WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")


def test_a_login_is_bounded_in_time_connections_and_rights() -> None:
    create, *settings = postgres.build_creation_statements(
        GROUP, ["public"], connection_limit=5, settings={"statement_timeout": "30s"}
    )
    for part in (
        "VALID UNTIL '{{expiration}}'",
        "CONNECTION LIMIT 5",
        "NOSUPERUSER",
        "NOBYPASSRLS",
        f'IN ROLE "{GROUP}"',
    ):
        assert part in create
    assert settings == [
        'ALTER ROLE "{{name}}" SET search_path = pg_catalog, "public";',
        "ALTER ROLE \"{{name}}\" SET statement_timeout = '30s';",
    ]


def test_a_group_role_too_long_for_its_policies_is_refused() -> None:
    with pytest.raises(CompileError):
        postgres.policy_name("x" * 57, "SELECT")

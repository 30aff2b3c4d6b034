"""Reads one grant of a lock. Its first key says which kind it is. This module must not judge what it grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.access.lock.write import write_json
from narrowgate.declarations.errors import suggest
from narrowgate.plan import (
    CertificateGrant,
    ClaimGrant,
    Condition,
    FunctionGrant,
    Grant,
    IamGrant,
    RowPredicate,
    SecretGrant,
    TableGrant,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.access.lock.node import Node


def read_grant(node: Node) -> Grant:
    """Return the grant that `node` states; raise `LockError` at what is wrong in it."""
    entries = list(node.entries())
    if not entries:
        raise node.error("a grant cannot be empty")
    first, child = entries[0]
    reader = _READERS.get(first)
    if reader is None:
        raise child.error(f"no grant begins with `{first}`", suggest(first, _READERS), key=True)
    return reader(node)


def _read_iam(node: Node) -> IamGrant:
    fields = node.fields("allow resources", "when")
    conditions = (
        tuple(_read_condition(key, child) for key, child in fields["when"].entries()) if "when" in fields else ()
    )
    return IamGrant(fields["allow"].texts(), fields["resources"].texts(), conditions)


def _read_condition(name: str, node: Node) -> Condition:
    operator, space, key = name.partition(" ")
    if not (operator and space and key):
        raise node.error(f"`{name}` is no condition", "write an operator and a context key", key=True)
    return Condition(operator, key, node.texts())


def _read_table(node: Node) -> TableGrant:
    fields = node.fields("table privileges columns", "rows")
    schema, table = _split_name(fields["table"])
    rows = fields["rows"].entries() if "rows" in fields else ()
    return TableGrant(
        schema=schema,
        table=table,
        privileges=fields["privileges"].texts(),
        columns=fields["columns"].texts(),
        rows=tuple(RowPredicate(column, values.literals()) for column, values in rows),
    )


def _read_function(node: Node) -> FunctionGrant:
    fields = node.fields("execute arguments")
    schema, function = _split_name(fields["execute"])
    return FunctionGrant(schema, function, fields["arguments"].texts())


def _split_name(node: Node) -> tuple[str, str]:
    schema, dot, name = node.text().partition(".")
    if not dot:
        raise node.error("must be written schema.name")
    return schema, name


def _read_claim(node: Node) -> ClaimGrant:
    fields = node.fields("audience claims")
    return ClaimGrant(fields["audience"].text(), write_json(fields["claims"].value))


def _read_secret(node: Node) -> SecretGrant:
    fields = node.fields("secret max_age")
    return SecretGrant(fields["secret"].text(), fields["max_age"].seconds())


def _read_certificate(node: Node) -> CertificateGrant:
    return CertificateGrant(node.fields("certificate")["certificate"].text())


_READERS: Final[dict[str, Callable[[Node], Grant]]] = {
    "allow": _read_iam,
    "table": _read_table,
    "execute": _read_function,
    "audience": _read_claim,
    "secret": _read_secret,
    "certificate": _read_certificate,
}

"""Grants in plain words, for manifests, reviewers and error messages: one line for each grant.

This module must not hide anything of a grant: what is not said here would not be reviewed.
"""

from __future__ import annotations

import json
from functools import singledispatch

from narrowgate.plan import (
    CertificateGrant,
    ClaimGrant,
    FunctionGrant,
    Grant,
    IamGrant,
    RowPredicate,
    SecretGrant,
    TableGrant,
)


@singledispatch
def describe_grant(grant: Grant) -> str:
    """Return one line that says all of `grant`."""
    raise TypeError(f"no words for {type(grant).__name__}")


@describe_grant.register
def _(grant: IamGrant) -> str:
    line = f"{', '.join(grant.actions)} on {', '.join(grant.resources)}"
    conditions = [f"{c.key} {c.operator} {json.dumps(list(c.values), ensure_ascii=False)}" for c in grant.conditions]
    return f"{line} when {' and '.join(conditions)}" if conditions else line


@describe_grant.register
def _(grant: TableGrant) -> str:
    columns = f" ({', '.join(grant.columns)})" if grant.columns else ""
    rows = " and ".join(_predicate(predicate) for predicate in grant.rows)
    line = f"{', '.join(grant.privileges)} on {grant.schema}.{grant.table}{columns}"
    return f"{line} where {rows}" if rows else f"{line}, all rows"


def _predicate(predicate: RowPredicate) -> str:
    values = [json.dumps(value, ensure_ascii=False) for value in predicate.values]
    return f"{predicate.column} = {values[0]}" if len(values) == 1 else f"{predicate.column} in [{', '.join(values)}]"


@describe_grant.register
def _(grant: FunctionGrant) -> str:
    return f"EXECUTE {grant.schema}.{grant.function}({', '.join(grant.arguments)})"


@describe_grant.register
def _(grant: ClaimGrant) -> str:
    return f"token for {grant.audience} with scope {grant.scope}"


@describe_grant.register
def _(grant: SecretGrant) -> str:
    return f"read of the secret {grant.path}, rotated every {grant.max_age_seconds} s"


@describe_grant.register
def _(grant: CertificateGrant) -> str:
    return f"client certificate {grant.uri_san}"

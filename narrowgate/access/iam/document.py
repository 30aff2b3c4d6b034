"""Reads a policy document: JSON text or a dict becomes a `Policy`, or a `PolicyError` that names the place.

As lenient as IAM is (one value or a list of them, a single statement, no Version, any case in actions, operators'
and keys' names) and no more: an unknown element, an unknown operator, a key that stands twice is an error, since
each of them may hide a wider permission than a reader sees.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, cast

from narrowgate.access.iam.conditions import (
    OPERATORS,
    SPELLINGS,
    Family,
    read_date,
    read_network,
    read_number,
    write_number,
)
from narrowgate.access.iam.policy import Condition, Effect, Pattern, Policy, PolicyError, PrincipalEntry, Statement
from narrowgate.access.iam.principals import EVERYONE, KINDS
from narrowgate.access.iam.templates import (
    check_characters,
    compile_action,
    compile_arn,
    compile_like,
    compile_literal,
    compile_resource,
)

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_ELEMENTS: Final = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS: Final = {
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal",
    "Condition",
}
_ACTION: Final = re.compile(r"[A-Za-z0-9_*?-]+:[^:\s]+|\*+")
_OPERATOR: Final = re.compile(r"(?:(forallvalues|foranyvalue):)?([a-z]+?)(ifexists)?")
_QUANTIFIERS: Final = {"forallvalues": "ForAllValues", "foranyvalue": "ForAnyValue"}
_READERS: Final[dict[Family, Callable[[str], object]]] = {
    "number": read_number,
    "date": read_date,
    "address": read_network,
}


def parse(document: Mapping[str, Any] | str) -> Policy:
    """Read an IAM policy (identity, trust, resource, boundary or session policy) from JSON text or a mapping.

    Raises PolicyError, whose message begins with the place (`Statement[2].Condition.StringEquals`, or line and
    column where the text is no JSON).
    """
    policy = _load(document) if isinstance(document, str) else document
    if not isinstance(policy, Mapping):
        raise PolicyError("a policy is a JSON object", place="document")
    _refuse_unknown(policy, _ELEMENTS, "")
    version = policy.get("Version", "2008-10-17")
    if version not in _VERSIONS:
        raise PolicyError(f"{version!r} is no version", place="Version", hint=f"Use {_VERSIONS[0]!r}.")
    if "Statement" not in policy:
        raise PolicyError("the element Statement is missing", place="document")
    statements = policy["Statement"]
    if isinstance(statements, Mapping):
        return Policy(version, (_read_statement(statements, 0, version, "Statement"),), _text(policy, "Id", ""))
    if not isinstance(statements, list | tuple):
        raise PolicyError("must be a statement or a list of them", place="Statement")
    read = (
        _read_statement(statement, index, version, f"Statement[{index}]") for index, statement in enumerate(statements)
    )
    return Policy(version, tuple(read), _text(policy, "Id", ""))


def _load(text: str) -> Any:  # noqa: ANN401 - JSON may hold anything; parse checks it
    try:
        return json.loads(text, object_pairs_hook=_refuse_twins, parse_float=Decimal, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise PolicyError(f"no JSON: {error.msg}", place=f"line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise PolicyError("nested too deeply", place="document") from error


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise PolicyError(f"the key {key!r} stands twice in one object", place=key)
        found[key] = value
    return found


def _refuse_constant(text: str) -> None:
    raise PolicyError(f"{text} is no JSON", place="document")


def _refuse_unknown(element: Mapping[str, Any], known: set[str], place: str) -> None:
    for key in element:
        if key not in known:
            near = next((name for name in known if name.lower() == str(key).lower()), None)
            hint = f"Write {near!r}." if near else f"Known are {', '.join(sorted(known))}."
            raise PolicyError(f"unknown element {key!r}", place=place or "document", hint=hint)


def _text(element: Mapping[str, Any], key: str, place: str) -> str | None:
    value = element.get(key)
    if value is not None and not isinstance(value, str):
        raise PolicyError("must be a string", place=f"{place}.{key}" if place else key)
    return value


def _read_statement(statement: object, index: int, version: str, place: str) -> Statement:
    if not isinstance(statement, Mapping):
        raise PolicyError("a statement is an object", place=place)
    _refuse_unknown(statement, _STATEMENT_ELEMENTS, place)
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError("must be 'Allow' or 'Deny'", place=f"{place}.Effect")
    variables = version == _VERSIONS[0]
    actions, not_action = _read_either(statement, "Action", place, _read_action)
    if actions is None:
        raise PolicyError("neither Action nor NotAction is given", place=place)
    resources, not_resource = _read_either(
        statement, "Resource", place, lambda text, where: _read_resource(text, where, variables=variables)
    )
    principals, not_principal = _read_principals(statement, place)
    if resources is None and principals is None:
        raise PolicyError("neither Resource nor NotResource is given", place=place)
    return Statement(
        index,
        _text(statement, "Sid", place),
        cast("Effect", effect),
        actions,
        not_action,
        resources,
        not_resource,
        principals,
        not_principal,
        _read_conditions(statement.get("Condition", {}), f"{place}.Condition", variables=variables),
    )


def _choose(statement: Mapping[str, Any], name: str, place: str) -> str | None:
    """Return which of an element and its negation is given."""
    given = [element for element in (name, f"Not{name}") if element in statement]
    if len(given) > 1:
        raise PolicyError(f"{name} and Not{name} exclude each other", place=place)
    return given[0] if given else None


def _read_either(
    statement: Mapping[str, Any], name: str, place: str, read: Callable[[str, str], Pattern]
) -> tuple[tuple[Pattern, ...] | None, bool]:
    element = _choose(statement, name, place)
    if element is None:
        return None, False
    where = f"{place}.{element}"
    values = _strings(statement[element], where)
    negated = element != name
    if negated and not values:
        raise PolicyError("an empty list would stand for everything", place=where)
    return tuple(read(text, spot) for text, spot in values), negated


def _strings(value: object, place: str) -> list[tuple[str, str]]:
    """Return the strings of one value or a list, each with its place."""
    if isinstance(value, str):
        return [(value, place)]
    if not isinstance(value, list | tuple):
        raise PolicyError("must be a string or a list of strings", place=place)
    found = [(text, f"{place}[{number}]") for number, text in enumerate(value)]
    for text, spot in found:
        if not isinstance(text, str):
            raise PolicyError("must be a string", place=spot)
    return found


def _read_action(text: str, place: str) -> Pattern:
    check_characters(text, place)
    if not _ACTION.fullmatch(text):
        raise PolicyError(f"{text!r} is no action", place=place, hint="Write service:Action, or '*'.")
    return compile_action(text)


def _read_resource(text: str, place: str, *, variables: bool) -> Pattern:
    if not text:
        raise PolicyError("a resource is an ARN or '*'", place=place)
    return compile_resource(text, variables=variables, place=place)


def _read_principals(statement: Mapping[str, Any], place: str) -> tuple[tuple[PrincipalEntry, ...] | None, bool]:
    element = _choose(statement, "Principal", place)
    if element is None:
        return None, False
    where = f"{place}.{element}"
    given = statement[element]
    negated = element != "Principal"
    if given == "*":
        return (EVERYONE,), negated
    if not isinstance(given, Mapping):
        raise PolicyError(f"must be '*' or an object of {', '.join(KINDS)}", place=where)
    _refuse_unknown(given, set(KINDS), where)
    entries = tuple(
        PrincipalEntry(kind, text) for kind, values in given.items() for text, _ in _strings(values, f"{where}.{kind}")
    )
    if not entries:
        raise PolicyError("names nobody", place=where)
    return entries, negated


def _read_conditions(block: object, place: str, *, variables: bool) -> tuple[Condition, ...]:
    if not isinstance(block, Mapping):
        raise PolicyError("must be an object of operators", place=place)
    found: list[Condition] = []
    for name, keys in block.items():
        where = f"{place}.{name}"
        quantifier, operator, if_exists = _read_operator(str(name), where)
        if not isinstance(keys, Mapping):
            raise PolicyError("must be an object of context keys", place=where)
        for key, values in keys.items():
            spot = f"{where}.{key}"
            if not isinstance(key, str) or not key:
                raise PolicyError("a context key is a name", place=where)
            check_characters(key, spot)
            patterns = tuple(_read_value(operator, text, spot, variables=variables) for text in _scalars(values, spot))
            found.append(Condition(operator, key.lower(), key, patterns, quantifier, if_exists))
    return tuple(found)


def _read_operator(name: str, place: str) -> tuple[Literal["", "ForAllValues", "ForAnyValue"], str, bool]:
    parts = _OPERATOR.fullmatch(name.lower())
    operator = SPELLINGS.get(parts.group(2)) if parts else None
    if parts is None or operator is None or (operator == "Null" and (parts.group(1) or parts.group(3))):
        raise PolicyError(f"unknown condition operator {name!r}", place=place)
    quantifier = cast('Literal["", "ForAllValues", "ForAnyValue"]', _QUANTIFIERS.get(parts.group(1), ""))
    return quantifier, operator, parts.group(3) is not None


def _scalars(values: object, place: str) -> list[str]:
    """Return the values of a condition as IAM compares them: strings; a number or boolean as JSON writes it."""
    given = values if isinstance(values, list | tuple) else [values]
    found: list[str] = []
    for value in given:
        if isinstance(value, bool):
            found.append("true" if value else "false")
        elif isinstance(value, str):
            found.append(value)
        elif isinstance(value, int | float | Decimal):
            written = write_number(Decimal(str(value)))
            if written is None:
                raise PolicyError("a number of so many digits is not compared", place=place)
            found.append(written)
        else:
            raise PolicyError("must be a string, a number or a boolean, or a list of them", place=place)
    return found


def _read_value(operator: str, text: str, place: str, *, variables: bool) -> Pattern:
    family = OPERATORS[operator].family
    if family == "like":
        return compile_like(text, variables=variables, place=place)
    if family == "arn":
        return compile_arn(text, variables=variables, place=place)
    if family in ("literal", "caseless", "bool"):
        return compile_literal(text, variables=variables, place=place)
    check_characters(text, place)
    if family == "null":
        text = text.lower()
        if text not in ("true", "false"):
            raise PolicyError("must be 'true' or 'false'", place=place)
    reader = _READERS.get(family)
    if reader is not None and "${" not in text and reader(text) is None:
        raise PolicyError(f"{text!r} can't be compared by {operator}", place=place)
    return Pattern(text, text)

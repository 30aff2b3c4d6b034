"""Asks z3 whether new IAM policies allow what old ones do not: a yardstick, written apart from the product.

Every statement becomes a formula over an action, a resource and, for each context key, whether it is there and what
it is (one text, or one number for Numeric operators). It takes policies without set operators, without variables in
resources, without principals. Used by the benchmark and as a cross-check in the tests; the product never imports it.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import z3

Document = dict[str, Any]


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Return a list of one value or of a list's."""
    return value if isinstance(value, list) else [value]


def union(parts: list[Any]) -> Any:  # noqa: ANN401 - z3 has no types
    """Return the union of regular expressions."""
    return parts[0] if len(parts) == 1 else z3.Union(*parts)


class Question:
    """The variables of one question and the formulas over them."""

    def __init__(self) -> None:
        self.action, self.resource = z3.String("action"), z3.String("resource")
        self._any = z3.AllChar(z3.ReSort(z3.StringSort()))
        self._in_part = z3.Diff(self._any, z3.Re(":"))

    def glob(self, text: str, any_character: Any = None) -> Any:  # noqa: ANN401 - z3 has no types
        """Return the regular expression of a pattern."""
        one = self._any if any_character is None else any_character
        forms = {"*": z3.Star(one), "?": one}
        parts = [forms[character] if character in forms else z3.Re(character) for character in text]
        return z3.Concat(*parts) if len(parts) > 1 else parts[0] if parts else z3.Re("")

    def resource_glob(self, text: str) -> Any:  # noqa: ANN401 - z3 has no types
        """Return the regular expression of a resource: wildcards stay in their part, a closing star runs on."""
        parts = text.split(":", 5)
        forms: list[Any] = []
        for place, part in enumerate(parts):
            if place:
                forms.append(z3.Re(":"))
            if place == 5:  # noqa: PLR2004 - the resource part of an ARN
                forms.append(self.glob(part))
            elif part.endswith("*"):
                forms += [self.glob(part[:-1], self._in_part), z3.Star(self._any)]
            else:
                forms.append(self.glob(part, self._in_part))
        return z3.Concat(*forms) if len(forms) > 1 else forms[0]

    def applies(self, statement: Document) -> Any:  # noqa: ANN401 - z3 has no types
        """Return the formula that says that a statement applies."""
        terms = []
        for element, text, form in (
            ("Action", self.action, self.glob),
            ("Resource", self.resource, self.resource_glob),
        ):
            negated = element not in statement
            patterns = as_list(statement["Not" + element if negated else element])
            patterns = [one.lower() for one in patterns] if element == "Action" else patterns
            inside = z3.InRe(text, union([form(pattern) for pattern in patterns]))
            terms.append(z3.Not(inside) if negated else inside)
        for operator, block in statement.get("Condition", {}).items():
            terms += [self.condition(operator, key.lower(), as_list(values)) for key, values in block.items()]
        return z3.And(*terms)

    def condition(self, operator: str, key: str, values: list[Any]) -> Any:  # noqa: ANN401 - z3 has no types
        """Return the formula of one operator on one key."""
        present = z3.Bool("has " + key)
        if operator == "Null":
            return z3.Or(*(z3.Not(present) if str(one).lower() == "true" else present for one in values))
        optional, negated = operator.endswith("IfExists"), "Not" in operator
        base = operator.removesuffix("IfExists").replace("Not", "")
        hit = z3.Or(*(self.compare(base, key, one) for one in values))
        if negated:
            return z3.Implies(present, z3.Not(hit))
        return z3.Implies(present, hit) if optional else z3.And(present, hit)

    def compare(self, base: str, key: str, wanted: Any) -> Any:  # noqa: ANN401 - z3 has no types
        """Return the formula of one comparison."""
        if base.startswith("Numeric"):
            number, constant = z3.Real("number " + key), z3.RealVal(str(wanted))
            return {
                "Equals": number == constant,
                "LessThan": number < constant,
                "LessThanEquals": number <= constant,
                "GreaterThan": number > constant,
                "GreaterThanEquals": number >= constant,
            }[base.removeprefix("Numeric")]
        text = z3.String("text " + key)
        if isinstance(wanted, str) and wanted.startswith("${"):
            other = wanted[2:-1].lower()
            return z3.And(z3.Bool("has " + other), text == z3.String("text " + other))
        return {
            "StringEquals": lambda: text == z3.StringVal(wanted),
            "StringLike": lambda: z3.InRe(text, self.glob(wanted)),
            "Bool": lambda: text == z3.StringVal(str(wanted).lower()),
        }[base]()

    def allows(self, documents: list[Document]) -> Any:  # noqa: ANN401 - z3 has no types
        """Return the formula that says that policies allow the request."""
        sides: dict[str, list[Any]] = {"Allow": [], "Deny": []}
        for document in documents:
            for statement in as_list(document["Statement"]):
                sides[statement["Effect"]].append(self.applies(statement))
        return z3.And(z3.Or(*sides["Allow"]), z3.Not(z3.Or(*sides["Deny"])))


def allows_more(old: list[Document], new: list[Document], timeout_ms: int) -> bool | None:
    """Say whether `new` allows a request that `old` does not; None where z3 gives up or runs out of time."""
    question = Question()
    solver = z3.Solver()
    solver.set("timeout", timeout_ms)
    solver.add(question.allows(new), z3.Not(question.allows(old)))
    answer = solver.check()
    return True if answer == z3.sat else False if answer == z3.unsat else None


def ratio(values: list[float]) -> float:
    """Return the geometric mean."""
    return float(reduce(lambda left, right: left * right, values, 1.0) ** (1 / len(values)))

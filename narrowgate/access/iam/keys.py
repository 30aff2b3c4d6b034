"""The classes of values that conditions tell apart for one context key, with one sample of each.

A class is: the key is missing, or it has a set of values. Conditions with policy variables are opaque: each is a
truth of its own that every box with the same condition shares, save where a value decides it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

from narrowgate.access.iam.boxes import Numbering, Undecidable, has_variables, number_variables
from narrowgate.access.iam.conditions import OPERATORS, Family, Values, holds_without_key
from narrowgate.access.iam.dimensions import Option
from narrowgate.access.iam.glob import covers
from narrowgate.access.iam.samples import SPELLED_OUT, count_letters, samples_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from narrowgate.access.iam.policy import Condition

_OPAQUE_LIMIT: Final = 6
_CLASS_LIMIT: Final = 4000
_GROUPS: Final[dict[Family, str]] = {
    "literal": "text",
    "like": "text",
    "arn": "text",
    "caseless": "caseless",
    "bool": "caseless",
}


@dataclass(frozen=True, slots=True)
class _Atom:
    """A comparison that one or more conditions make of the key's value, without their negation."""

    operator: str
    values: tuple[str, ...]
    opaque_as: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class _Term:
    """A condition in terms of an atom."""

    condition: Condition
    atom: int
    negated: bool


@dataclass(frozen=True, slots=True)
class _Class:
    """A set of values, summed up: the atoms that some value satisfies and those that all satisfy."""

    values: tuple[str, ...]
    some: int
    every: int


def groups_of(conditions: Iterable[Condition]) -> dict[Family, str]:
    """Return which families of operators on one key are sampled together.

    Text and caseless ones are, unless a pattern may tell apart more spellings than can be sampled.
    """
    families = {OPERATORS[one.operator].family for one in conditions}
    groups = {family: _GROUPS.get(family, str(family)) for family in families}
    caseless = (one for one in conditions if groups[OPERATORS[one.operator].family] == "caseless")
    if not families & {"like", "arn"} or all(
        count_letters(v.text) <= SPELLED_OUT for one in caseless for v in one.values
    ):
        groups = {family: "text" if group == "caseless" else group for family, group in groups.items()}
    return groups


class KeyClasses:
    """Samples one key (and one group of operator families) and says for each sample which conditions hold."""

    def __init__(
        self, conditions: Iterable[Condition], numbering: Numbering, *, several: bool, fineness: int = 0
    ) -> None:
        self._numbering = numbering
        self._atoms: dict[_Atom, int] = {}
        self._terms: dict[Condition, _Term | None] = {}
        for condition in conditions:
            if condition not in self._terms:
                self._terms[condition] = self._read(condition)
        self._opaque = [number for atom, number in self._atoms.items() if atom.opaque_as]
        if len(self._opaque) > _OPAQUE_LIMIT:
            raise Undecidable("too many conditions with policy variables on one key")
        self._quantified = any(condition.quantifier for condition in self._terms)
        self._several = several
        self._fineness = fineness

    def _read(self, condition: Condition) -> _Term | None:
        operator = OPERATORS[condition.operator]
        if operator.family == "null":
            return None
        values = tuple(sorted(number_variables(condition.values, self._numbering)))
        base = condition.operator.replace("Not", "").replace("ArnEquals", "ArnLike")
        opaque: tuple[object, ...] = ()
        if any(has_variables(value) for value in values):
            quantified = (condition.quantifier, operator.negated) if condition.quantifier else ()
            opaque = ("opaque", *quantified)
        atom = _Atom(base, values, opaque)
        return _Term(condition, self._atoms.setdefault(atom, len(self._atoms)), operator.negated)

    def options(
        self,
        positives: Sequence[Condition],
        negatives: Sequence[tuple[int, Sequence[Condition]]],
        fixed: tuple[Values] | None = None,
    ) -> list[Option]:
        """Return the classes where all positive conditions hold, each with the bits of boxes whose conditions hold.

        `fixed` is the only value that the key may have (or be missing), where that is settled.
        """
        found: dict[int, Option] = {}
        for one, truths in self._situations() if fixed is None else self._fixed_situations(fixed[0]):
            if not all(self._holds(condition, one, truths) for condition in positives):
                continue
            live = 0
            for bit, conditions in negatives:
                if all(self._holds(condition, one, truths) for condition in conditions):
                    live |= bit
            if live not in found:
                found[live] = Option(None if one is None else one.values, live)
        return list(found.values())

    def _situations(self) -> Iterator[tuple[_Class | None, dict[int, bool]]]:
        yield None, {}
        atoms = list(self._atoms)
        for one in self._classes():
            for chosen in product((False, True), repeat=len(self._opaque)):
                truths = dict(zip(self._opaque, chosen, strict=True))
                if not self._opaque or self._is_possible(atoms, truths, one):
                    yield one, truths

    def _fixed_situations(self, values: Values) -> Iterator[tuple[_Class | None, dict[int, bool]]]:
        if values is None:
            yield None, {}
        else:
            bits = self._bits(values[0])
            yield _Class(values, bits, bits), {}

    def _is_possible(self, atoms: list[_Atom], truths: dict[int, bool], one: _Class) -> bool:
        """Say whether the truths of opaque atoms may stand together: what a value or another atom implies holds."""
        single = [number for number in self._opaque if atoms[number].opaque_as == ("opaque",)]
        for number in single:
            if truths[number]:
                continue
            if one.some >> number & 1:
                return False
            if any(truths[other] and _implies(atoms[other], atoms[number]) for other in single if other != number):
                return False
        return True

    def _classes(self) -> list[_Class]:
        """Return every distinguishable set of values, small ones first."""
        samples = samples_of([(atom.operator, atom.values) for atom in self._atoms], fineness=self._fineness)
        elements: dict[int, _Class] = {}
        for text in samples:
            # Alone, an empty string counts as no value where a qualifier asks for sets; beside another it is one.
            values = ("", "") if text == "" and self._quantified else (text,)
            if len(values) > 1 and not self._several:
                continue
            bits = self._bits(text)
            elements.setdefault(bits, _Class(values, bits, bits))
        found = {(one.some, one.every): one for one in elements.values()}
        frontier = list(found.values())
        for _ in range(self._largest_set() - 1):
            frontier = self._grow(frontier, list(elements.values()), found)
        classes = list(found.values())
        if self._quantified:
            bits = self._bits("")
            classes.append(_Class(("",), bits, bits))
        return classes

    def _bits(self, text: str) -> int:
        return sum(1 << number for atom, number in self._atoms.items() if _satisfies(atom, text))

    def _grow(
        self, frontier: list[_Class], elements: list[_Class], found: dict[tuple[int, int], _Class]
    ) -> list[_Class]:
        added: list[_Class] = []
        for one, other in product(frontier, elements):
            some, every = one.some | other.some, one.every & other.every
            if (some, every) not in found:
                found[some, every] = _Class((*one.values, *other.values), some, every)
                added.append(found[some, every])
        if len(found) > _CLASS_LIMIT:
            raise Undecidable("too many sets of values for one context key")
        return added

    def _largest_set(self) -> int:
        """Return how many values tell all cases apart: one for each demand that a set of values can meet."""
        if not self._several:
            return 1
        return max(1, len({(t.atom, t.negated, t.condition.quantifier) for t in self._terms.values() if t is not None}))

    def _holds(self, condition: Condition, one: _Class | None, truths: dict[int, bool]) -> bool:
        term = self._terms[condition]
        if term is None:
            return any((value.text == "true") == (one is None) for value in condition.values)
        if one is None:
            return holds_without_key(condition, negated=term.negated)
        if term.atom in truths and not (condition.quantifier and one.values == ("",)):
            return truths[term.atom] if condition.quantifier else truths[term.atom] != term.negated
        return self._compare(condition, term, one)

    @staticmethod
    def _compare(condition: Condition, term: _Term, one: _Class) -> bool:
        if condition.quantifier and one.values == ("",):
            return condition.quantifier == "ForAllValues"
        some, every = bool(one.some >> term.atom & 1), bool(one.every >> term.atom & 1)
        if condition.quantifier == "ForAllValues":
            return not some if term.negated else every
        if condition.quantifier == "ForAnyValue":
            return not every if term.negated else some
        return some != term.negated


def _satisfies(atom: _Atom, text: str) -> bool:
    test = OPERATORS[atom.operator].test
    return any(test(value, text) for value in atom.values if not has_variables(value))


def _implies(left: _Atom, right: _Atom) -> bool:
    """Say whether a value that satisfies one opaque atom must satisfy the other."""
    families = {OPERATORS[left.operator].family, OPERATORS[right.operator].family}
    if families <= {"literal", "like"} or families == {"arn"}:
        return all(any(covers(wide, value) for wide in right.values) for value in left.values)
    return len(families) == 1 and set(left.values) <= set(right.values)

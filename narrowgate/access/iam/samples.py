"""Values of one context key that tell apart what comparisons say of them: one value of every class.

Texts are generic where a pattern has wildcards (see `glob`); numbers and dates lie on, between and beyond the
constants; addresses on the edges of the ranges.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import localcontext
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final

from narrowgate.access.iam.boxes import Undecidable, has_variables
from narrowgate.access.iam.conditions import LARGEST_EXPONENT, OPERATORS, read_date, read_network, read_number
from narrowgate.access.iam.glob import RUN, STAR, generic, is_literal, meet
from narrowgate.access.iam.splitting import split_finely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from decimal import Decimal

SPELLED_OUT: Final = 6
"""Up to so many letters a value is sampled in every spelling, which a pattern may then tell apart."""
_DIGITS: Final = 2 * LARGEST_EXPONENT + 50
_MEET_LIMIT: Final = 400


def samples_of(comparisons: Sequence[tuple[str, tuple[str, ...]]], *, fineness: int) -> list[str]:
    """Return a value of every class that the comparisons (base operator, values) tell apart; generic texts first.

    `fineness` is that of `split_finely`.
    """
    families = {OPERATORS[operator].family for operator, _ in comparisons}
    values = [value for _, texts in comparisons for value in texts if not has_variables(value)]
    caseless = [
        value
        for operator, texts in comparisons
        if OPERATORS[operator].family in ("caseless", "bool")
        for value in texts
    ]
    samples = [RUN]
    if families & {"literal", "like", "arn"}:
        patterns = _close_under_meet(values)
        if fineness:
            patterns = split_finely([STAR, *patterns], values, fineness)
        samples += [generic(tokens) for tokens in patterns]
    for family, sample in _SAMPLERS.items():
        if family in families:
            samples += sample(values)
    samples += _in_other_cases(caseless, set(samples))
    return [*dict.fromkeys(text for text in samples if text), ""]


def _close_under_meet(values: Iterable[str]) -> list[str]:
    found = dict.fromkeys(values)
    globs = [tokens for tokens in found if not is_literal(tokens)]
    combined = dict.fromkeys(globs)
    for want in globs:
        for tokens in list(combined):
            combined.update(dict.fromkeys(meet(tokens, want)))
        if len(combined) > _MEET_LIMIT:
            raise Undecidable("too many overlapping patterns for one context key")
    return [*found, *combined]


def _in_other_cases(values: Iterable[str], taken: set[str]) -> list[str]:
    """Return for each value all its spellings, or, of a long one, one that no case-sensitive value has."""
    found: list[str] = []
    for value in values:
        if has_variables(value):
            continue
        if count_letters(value) <= SPELLED_OUT:
            found += ["".join(letters) for letters in product(*(dict.fromkeys((c, c.swapcase())) for c in value))]
            continue
        spellings = [value, value.lower(), value.upper(), value.swapcase()]
        spellings += [value[:n] + value[n].swapcase() + value[n + 1 :] for n in range(len(value))]
        free = [spelling for spelling in spellings if spelling not in taken and spelling.lower() == value.lower()]
        found += [value, *free[:1]]
    return found


def count_letters(value: str) -> int:
    """Return how many characters of the value have two cases."""
    return sum(character != character.swapcase() for character in value)


def _sample_order(
    values: Iterable[str], read: Callable[[str], Decimal | None], write: Callable[[Decimal], str]
) -> list[str]:
    """Return values on, between and beyond the constants."""
    marks = sorted({number for value in values if (number := read(value)) is not None})
    if not marks:
        return []
    with localcontext() as precision:
        precision.prec = _DIGITS
        between = [(left + right) / 2 for left, right in pairwise(marks)]
        return [write(number) for number in (*marks, *between, marks[0] - 1, marks[-1] + 1)]


def _sample_numbers(values: Iterable[str]) -> list[str]:
    return _sample_order(values, read_number, lambda number: format(number, "f"))


def _sample_dates(values: Iterable[str]) -> list[str]:
    return _sample_order(values, read_date, _write_date)


def _write_date(moment: Decimal) -> str:
    seconds = int(moment // 1)
    try:
        whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return format(moment, "f")
    fraction = format(moment - seconds, "f").partition(".")[2]
    return f"{whole.replace(tzinfo=None).isoformat()}{'.' + fraction if fraction.strip('0') else ''}Z"


def _sample_addresses(values: Iterable[str]) -> list[str]:
    networks = [network for value in values if (network := read_network(value)) is not None]
    return ["198.51.100.7", "2001:db8::7", *(text for network in networks for text in _edges(network))]


def _edges(network: IPv4Network | IPv6Network) -> Iterator[str]:
    """Yield the first address of the range and those just outside, where classes begin."""
    first, last = int(network.network_address), int(network.broadcast_address)
    top = int(network.network_address.__class__((1 << network.max_prefixlen) - 1))
    make = network.network_address.__class__
    yield str(make(first))
    for number in (last + 1, first - 1):
        if 0 <= number <= top:
            yield str(ip_address(make(number)))


def _as_they_are(values: Iterable[str]) -> list[str]:
    return list(values)


_SAMPLERS: Final[dict[str, Callable[[Iterable[str]], list[str]]]] = {
    "number": _sample_numbers,
    "date": _sample_dates,
    "address": _sample_addresses,
    "binary": _as_they_are,
}

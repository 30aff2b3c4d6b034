"""How long `narrowgate.access.iam.compare` takes, beside z3 on the same pairs in the same run.

Usage: bench_iam_compare.py [pairs for each size]. A pair is a policy of 1, 10 or 50 statements and a changed copy:
narrower (no new access) or wider by one thing. Targets: medians of 1, 5 and 30 ms. z3 gets 2 s for each question.
"""

from __future__ import annotations

import copy
import random
import statistics
import sys
import time
from typing import Any

import iam_z3

from narrowgate.access.iam import compare, parse

TARGETS_MS = {1: 1.0, 10: 5.0, 50: 30.0}
Z3_TIMEOUT_MS = 2000
Z3_PAIRS = 6
SERVICES = {
    "s3": (["Get*", "PutObject", "ListBucket", "DeleteObject*", "List*"], "arn:aws:s3:::{name}-bucket/{path}/*"),
    "dynamodb": (["GetItem", "Query", "BatchGet*", "PutItem", "*Item"], "arn:aws:dynamodb:*:123456789012:table/{name}"),
    "logs": (
        ["FilterLogEvents", "Get*", "Describe*"],
        "arn:aws:logs:eu-central-1:123456789012:log-group:/{name}/{path}:*",
    ),
    "sqs": (["SendMessage", "ReceiveMessage", "Get*"], "arn:aws:sqs:*:123456789012:{name}-*"),
    "lambda": (["InvokeFunction", "Get*", "List*"], "arn:aws:lambda:eu-*:123456789012:function:{name}-?"),
    "kms": (["Decrypt", "GenerateDataKey*", "Describe*"], "arn:aws:kms:*:123456789012:key/*"),
}
CONDITIONS: list[dict[str, Any]] = [
    {},
    {},
    {"StringEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]}},
    {"StringLike": {"aws:ResourceTag/team": ["pay*", "risk"]}},
    {"Bool": {"aws:SecureTransport": "true"}},
    {"StringNotEquals": {"aws:PrincipalTag/tier": "sandbox"}},
    {"NumericLessThanEquals": {"s3:max-keys": "100"}},
]


def make_statement(rng: random.Random, effect: str) -> dict[str, Any]:
    """Make a statement of the kind that teams write."""
    service = rng.choice(list(SERVICES))
    actions, arn = SERVICES[service]
    names = rng.sample(["payments", "orders", "risk", "search", "mail"], rng.randint(1, 3))
    return {
        "Effect": effect,
        "Action": [f"{service}:{action}" for action in rng.sample(actions, rng.randint(1, 3))],
        "Resource": [arn.format(name=name, path=rng.choice(["in", "out", "*"])) for name in names],
        "Condition": copy.deepcopy(rng.choice(CONDITIONS)),
    }


def make_pair(rng: random.Random, size: int, *, wider: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a policy and a changed copy that is narrower, but for one statement where it is to be wider."""
    effects = ["Deny" if size > 1 and rng.random() < 0.15 else "Allow" for _ in range(size)]  # noqa: PLR2004 - a share
    old = [make_statement(rng, effect) for effect in effects]
    new = copy.deepcopy(old)
    rng.shuffle(new)
    for statement in new:
        if statement["Effect"] == "Allow":
            statement["Resource"] = [arn.replace("*", "narrow", 1) for arn in statement["Resource"]]
            statement["Condition"]["StringEquals"] = {"aws:RequestedRegion": "eu-central-1"}
    if wider:
        grown = next((one for one in new if one["Effect"] == "Allow"), new[0])
        grown["Action"] = [*grown["Action"], "sns:Publish"]
    return ({"Version": "2012-10-17", "Statement": old}, {"Version": "2012-10-17", "Statement": new})


def measure(call: Any) -> tuple[Any, float]:  # noqa: ANN401 - any callable
    """Return what the call returns and the milliseconds it took."""
    start = time.perf_counter()
    answer = call()
    return answer, (time.perf_counter() - start) * 1000


def run(size: int, pairs: int) -> bool:
    """Measure one size, print a line, say whether the target holds and no answer contradicts z3."""
    rng = random.Random(size)  # noqa: S311 - a benchmark's own policies
    ours: list[float] = []
    theirs: list[float] = []
    ratios: list[float] = []
    undecided = timeouts = wrong = 0
    for number in range(pairs):
        old, new = make_pair(rng, size, wider=number % 2 == 1)
        before, after = parse(old), parse(new)
        answer, took = measure(lambda before=before, after=after: compare(before, after))
        ours.append(took)
        undecided += answer.no_new_access is None
        if number < Z3_PAIRS:
            verdict, z3_took = measure(lambda old=old, new=new: iam_z3.allows_more([old], [new], Z3_TIMEOUT_MS))
            theirs.append(z3_took)
            ratios.append(z3_took / took)
            timeouts += verdict is None
            wrong += verdict is not None and answer.no_new_access is verdict
    median = statistics.median(ours)
    holds = median <= TARGETS_MS[size] and not wrong
    ninety_five = sorted(ours)[len(ours) * 95 // 100]
    print(
        f"{size:3} statements: median {median:.3f} ms (target {TARGETS_MS[size]:g}), p95 {ninety_five:.3f} ms, "
        f"undecided {undecided}/{pairs}; z3 median {statistics.median(theirs):.1f} ms, {timeouts}/{len(theirs)} out of "
        f"time, {iam_z3.ratio(ratios):,.0f} times slower; contradictions {wrong}; {'ok' if holds else 'MISSED'}"
    )
    return holds


def main() -> int:
    """Run all sizes."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    results = [run(size, pairs) for size in TARGETS_MS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

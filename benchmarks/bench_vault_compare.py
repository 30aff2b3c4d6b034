"""How long `access.vault` takes: `compare` at 1, 10 and 50 rules, `evaluate`, `parse`, and finding what is in reach.

Run `python benchmarks/bench_vault_compare.py`; `--json` prints one object for machines. Times are medians in
milliseconds on this machine.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from typing import TYPE_CHECKING

from narrowgate.access import vault

if TYPE_CHECKING:
    from collections.abc import Callable

TARGETS_MS = {1: 1.0, 10: 5.0, 50: 30.0}
PAIRS = 40
CAPABILITIES = ("create", "read", "update", "delete", "list")
PATTERNS = (
    "narrowgate-aws/sts/{a}.{b}",
    "narrowgate-database/creds/{a}.{b}",
    "kv/data/{a}/*",
    "kv/data/{a}/+/{b}",
    "drafts/data/{a}/{{{{identity.entity.id}}}}/+",
    "identity/oidc/token/{a}*",
    "secret/{a}*",
)


def make_policy(rules: int, rnd: random.Random) -> str:
    """Return a policy as an environment has them: paths of many workflows, some restricted, one templated."""
    lines = []
    for number in range(rules):
        pattern = PATTERNS[4] if number == rules // 2 and rules > 1 else rnd.choice(PATTERNS[:4] + PATTERNS[5:])
        path = pattern.format(a=f"w{rnd.randrange(rules)}", b=f"t{rnd.randrange(4)}")
        capabilities = json.dumps(rnd.sample(CAPABILITIES, rnd.randint(1, 3)))
        more = 'allowed_parameters = { "ttl" = ["15m", "5*"] }' if rnd.randrange(5) == 0 else ""
        lines.append(f'path "{path}" {{ capabilities = {capabilities} {more} }}')
    return "\n".join(lines)


def median_ms(run: Callable[[], object], times: int = 5) -> float:
    """Return the median time of a call in milliseconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def time_pairs(rules: int) -> tuple[float, dict[str, int]]:
    """Return the median time of one comparison, of a policy with one that differs in one rule, and the answers."""
    rnd = random.Random(rules)  # noqa: S311 - not for secrets
    times = []
    answers = {"True": 0, "False": 0, "None": 0}
    for number in range(PAIRS):
        text = make_policy(rules, rnd)
        lines = text.split("\n")
        kept = lines if number % 2 else [*lines[:-1], make_policy(1, rnd)]
        old, new = vault.parse(text, "old"), vault.parse("\n".join(kept), "new")
        times.append(median_ms(lambda old=old, new=new: vault.compare(old, new), 3))  # type: ignore[misc]
        answers[str(vault.compare(old, new).no_new_access)] += 1
    return statistics.median(times), answers


def measure() -> dict[str, object]:
    """Return all figures."""
    rnd = random.Random(7)  # noqa: S311 - not for secrets
    text = make_policy(50, rnd)
    policy = vault.parse(text, "p")
    acl = vault.access_list(policy)
    figures: dict[str, object] = {}
    for rules, target in TARGETS_MS.items():
        taken, answers = time_pairs(rules)
        figures[f"compare {rules} rules"] = {"ms": round(taken, 3), "target_ms": target, "answers": answers}
    figures["parse 50 rules"] = {"ms": round(median_ms(lambda: vault.parse(text, "p")), 3)}
    figures["merge 50 rules"] = {"ms": round(median_ms(lambda: vault.access_list(policy)), 3)}
    figures["decide"] = {"ms": round(median_ms(lambda: vault.decide(acl, "kv/data/w1/x/t1", "read"), 200), 4)}
    figures["find_request 50 rules"] = {
        "ms": round(median_ms(lambda: vault.find_request(policy, "kv/data/w1/*", "read")), 3)
    }
    return figures


def main() -> None:
    """Print the figures."""
    figures = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        assert isinstance(figure, dict)  # noqa: S101 - for the type checker; measure makes only dicts
        target = f"  (target {figure['target_ms']} ms)" if "target_ms" in figure else ""
        print(f"{name:24} {figure['ms']:10} ms{target}  {figure.get('answers', '')}")


if __name__ == "__main__":
    main()

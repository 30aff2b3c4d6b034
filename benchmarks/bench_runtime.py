"""How much the runtime adds to what Vault takes: ratios to bare hvac, which sends the same requests, within one run.

- cold fetch: log in, read one credential, log out. Target: at most 1.10 times hvac's time.
- warm fetch: `agent.bearer(tool)` while it is fresh. Target: 20 µs.
- a crowd: 1,000 agents that do a cold fetch at once, each in a thread of its own. Target: none fails, and at least 0.9
  times hvac's throughput.

Both take turns, so that whatever slows the machine slows both. Run: python benchmarks/bench_runtime.py [--agents N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hvac

from narrowgate.runtime import login
from rehearsal import bao, idp
from rehearsal.live import open_rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

    from rehearsal.live import LiveRehearsal

WORKFLOW, TOOL, ROLE = "bench", "crm", "agent"
MOUNT, PATH = f"agents/{WORKFLOW}", f"identity/oidc/token/{WORKFLOW}.{TOOL}"
ROUNDS, COLD, WARM, CROWDS = 5, 40, 20_000, 6
POLICY = f"""
path "{PATH}" {{ capabilities = ["read"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
"""


def set_up(live: LiveRehearsal) -> dict[str, Any]:
    """Make one login and one signed token's role in Vault, and return the manifest of their workflow."""
    vault = live.vault()
    vault.sys.create_or_update_policy(WORKFLOW, POLICY)
    vault.sys.enable_auth_method("jwt", path=MOUNT)
    vault.write_data(
        f"auth/{MOUNT}/config",
        data={"jwt_validation_pubkeys": [idp.read_public_key(live.layout)], "bound_issuer": idp.issuer(live.layout)},
    )
    vault.write_data(
        f"auth/{MOUNT}/role/{ROLE}",
        data={
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": [idp.audience(live.layout, WORKFLOW)],
            "token_policies": [WORKFLOW],
            "token_ttl": 900,
        },
    )
    vault.write_data("identity/oidc/key/bench", data={"allowed_client_ids": ["*"], "algorithm": "ES256"})
    vault.write_data(
        f"identity/oidc/role/{WORKFLOW}.{TOOL}", data={"key": "bench", "client_id": "https://crm.test", "ttl": 900}
    )
    return {
        "version": 1,
        "workflow": WORKFLOW,
        "environment": "dev",
        "vault": {"address": bao.get_address(live.layout), "ca_pem": live.layout.ca_certificate.read_text()},
        "login": {"mount": MOUNT, "role": ROLE, "audience": idp.audience(live.layout, WORKFLOW)},
        "tools": {
            TOOL: {
                "backend": "bearer",
                "path": PATH,
                "actions": {"note": {"access": "write", "impact": "low", "gated": False}},
                "connection": {"audience": "https://crm.test"},
            }
        },
    }


def measure(work: Callable[[], None], times: int) -> float:
    """Return the seconds that `times` runs of `work` take."""
    started = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - started


def crowd(work: Callable[[], None], agents: int) -> tuple[float, list[str]]:
    """Run `work` in `agents` threads that start together; return the seconds and what went wrong."""
    barrier, wrong = threading.Barrier(agents + 1), list[str]()

    def run() -> None:
        barrier.wait()
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            wrong.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run) for _ in range(agents)]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started, wrong


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000, help="how many in the crowd")
    agents = parser.parse_args().agents
    with tempfile.TemporaryDirectory() as folder, open_rehearsal(Path(folder) / "state", deployed=False) as live:
        manifest = set_up(live)
        address, ca = bao.get_address(live.layout), str(live.layout.ca_certificate)
        jwt = live.token("alice", WORKFLOW, ttl_seconds=3600)

        def ours() -> None:
            with login(manifest, jwt) as agent:
                agent.bearer(TOOL)

        def bare() -> None:
            client = hvac.Client(url=address, verify=ca)
            client.auth.jwt.jwt_login(role=ROLE, jwt=jwt, path=MOUNT)
            client.read(PATH)
            client.auth.token.revoke_self()
            client.adapter.close()

        measure(ours, 5), measure(bare, 5)  # whatever is loaded once is loaded now
        colds = [(measure(ours, COLD), measure(bare, COLD)) for _ in range(ROUNDS)]
        ratio = statistics.median(own / other for own, other in colds)
        print(
            f"cold fetch: {1000 * statistics.median(own for own, _ in colds) / COLD:.1f} ms, "
            f"hvac {1000 * statistics.median(other for _, other in colds) / COLD:.1f} ms: {ratio:.2f} x (target: 1.10)"
        )
        with login(manifest, jwt) as agent:
            agent.bearer(TOOL)
            warm = min(measure(lambda: agent.bearer(TOOL) and None, WARM) for _ in range(ROUNDS)) / WARM
        print(f"warm fetch: {1e6 * warm:.1f} µs (target: 20)")
        failed, others, crowds = list[str](), list[str](), list[tuple[float, float]]()
        for turn in range(CROWDS):
            # whoever is first finds Vault rested: each is first as often as the other
            order = (ours, bare) if turn % 2 else (bare, ours)
            done = {work: crowd(work, agents) for work in order}
            failed += done[ours][1]
            others += done[bare][1]
            crowds.append((done[ours][0], done[bare][0]))
        own, other = (statistics.median(column) for column in zip(*crowds, strict=True))
        print(
            f"{agents} agents at once: {agents / own:.0f}/s, {len(failed)} failed; hvac {agents / other:.0f}/s, "
            f"{len(others)} failed: {statistics.median(m / o for o, m in crowds):.2f} x (target: 0.90, and none failed)"
        )
        print("  each crowd: " + ", ".join(f"{m / o:.2f}" for o, m in crowds))
        for line in sorted(set(failed))[:5]:
            print(f"  {line}")


if __name__ == "__main__":
    main()

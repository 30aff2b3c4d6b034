"""What `access.vault` says, held against what a real OpenBao does: thousands of random cases, and every odd rule."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import access_vault_oracle as asked
import pytest

from narrowgate.access import vault
from narrowgate.access.vault.sudo import requires_sudo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from access_vault_oracle import Oracle

pytestmark = pytest.mark.rehearsal
LONG = pytest.mark.long
OPENBAO = vault.Server.OPENBAO


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    with asked.run_oracle(tmp_path_factory.mktemp("bao")) as running:
        yield running


def store(oracle: Oracle, texts: list[str]) -> tuple[list[str], list[vault.Policy]]:
    """Store policies on the server; whatever it refuses `parse` must refuse, and the other way round."""
    names: list[str] = []
    policies: list[vault.Policy] = []
    for number, text in enumerate(texts):
        name = f"p{number}"
        if not oracle.write_policy(name, text):
            with pytest.raises(vault.VaultPolicyError):
                vault.parse(text, name, server=OPENBAO)
            continue
        policy = vault.parse(text, name, server=OPENBAO)
        names.append(name)
        policies.append(policy)
    return names, policies


@pytest.mark.parametrize(("seed", "rounds"), [(1, 150), pytest.param(2, 6000, marks=LONG)])
def test_same_rule_is_found_for_every_path(oracle: Oracle, seed: int, rounds: int) -> None:
    rnd = random.Random(seed)  # noqa: S311 - test data
    compared = 0
    for _ in range(rounds):
        texts = [asked.random_policy(rnd) for _ in range(rnd.choice([1, 1, 2, 3]))]
        names, policies = store(oracle, texts)
        if not names:
            continue
        token = oracle.make_token(*names)
        acl = vault.access_list(policies)
        paths = asked.random_paths(rnd, [rule.path for policy in policies for rule in policy.rules])
        for path, expected in oracle.capabilities(token, paths).items():
            assert vault.capabilities(acl, path) == expected, (path, texts)
            compared += 1
    assert compared > rounds * 5


@pytest.mark.parametrize(("seed", "rounds"), [(3, 150), pytest.param(4, 4000, marks=LONG)])
def test_real_requests_are_allowed_or_refused_alike(oracle: Oracle, seed: int, rounds: int) -> None:
    rnd = random.Random(seed)  # noqa: S311 - test data
    answers = {True: 0, False: 0}
    for _ in range(rounds):
        texts = [asked.random_restricted_policy(rnd) for _ in range(rnd.choice([1, 2]))]
        names, policies = store(oracle, texts)
        if not names:
            continue
        token = oracle.make_token(*names)
        acl = vault.access_list(policies, server=OPENBAO)
        granted = sorted({name for rule in acl.rules() for name in rule.permissions.capabilities})
        for _ in range(12):
            capability = rnd.choice([name for name in granted if name in asked.REQUESTED] or ["read"])
            path = rnd.choice(["kv/a", "kv/a", "kv/c", "kv/b/x"]) + "/" * (capability in ("list", "scan"))
            data = asked.random_data(rnd, capability)
            wrap = rnd.choice([None, None, "0", "1", "2", "3", "4s", "5s"])
            expected = oracle.allows(token, path, capability, data, wrap)
            decision = vault.decide(acl, path, capability, data, wrap_ttl=wrap)
            assert decision.allowed is expected, (path, capability, data, wrap, texts, decision.detail)
            answers[expected] += 1
    assert min(answers.values()) > rounds


@pytest.mark.parametrize(("seed", "rounds"), [(5, 60), pytest.param(6, 1500, marks=LONG)])
def test_witness_of_new_access_is_a_real_request(oracle: Oracle, seed: int, rounds: int) -> None:
    rnd = random.Random(seed)  # noqa: S311 - test data
    replayed = 0
    for _ in range(rounds):
        texts = [asked.random_restricted_policy(rnd) for _ in range(2)]
        names, policies = store(oracle, texts)
        if len(names) < 2:
            continue
        witness = vault.compare(policies[0], policies[1], server=OPENBAO).witness
        if witness is None or witness.capability not in asked.REQUESTED or not witness.path.startswith("kv/"):
            continue
        wrap = None if witness.wrap_ttl_ns is None else f"{witness.wrap_ttl_ns}ns"
        request = (witness.path, witness.capability, witness.parameters, wrap)
        if "//" in witness.path or (witness.capability in ("create", "update") and witness.path.endswith("/")):
            continue  # HTTP clients cannot send it so
        assert not oracle.allows(oracle.make_token(names[0]), *request), (request, texts)
        assert oracle.allows(oracle.make_token(names[1]), *request), (request, texts)
        replayed += 1
    assert replayed > rounds / 5


def test_paths_that_need_sudo(oracle: Oracle) -> None:
    """Every operation in the server's own description, by a token that may do all but sudo."""
    everything = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "patch", "scan"%s] }'
    assert oracle.write_policy("plain", everything % "")
    assert oracle.write_policy("sudo", everything % ', "sudo"')
    paths = oracle.ask("GET", "sys/internal/specs/openapi")[1]["paths"]
    tried = 0
    for template, description in paths.items():
        path = re.sub(r"\{[^}]*\}", "nothing", template).lstrip("/")
        if "get" not in description or re.search(r"pprof|monitor|in-flight|metrics", path):
            continue
        plain, sudo = (oracle.ask("GET", path, token=oracle.make_token(name))[0] for name in ("plain", "sudo"))
        refused = plain == asked.FORBIDDEN and sudo != asked.FORBIDDEN
        assert refused == requires_sudo(path) or (sudo == 405 and not refused), (path, plain, sudo)
        assert bool(description.get("x-vault-sudo")) == requires_sudo(path) or sudo == 405, path
        tried += 1
    assert tried > 50


def log_in(oracle: Oracle, policies: list[str]) -> tuple[str, dict[str, str]]:
    """Log in as a user with an entity, a group and metadata; return the token and what templates can ask for."""
    oracle.ask("POST", "sys/auth/userpass", {"type": "userpass"})
    user = {"password": "p", "token_policies": policies, "token_no_default_policy": True}
    oracle.ask("POST", "auth/userpass/users/ann", user)
    accessor = oracle.ask("GET", "sys/auth")[1]["data"]["userpass/"]["accessor"]
    metadata = {"team": "red", "starred": "a*b", "slashed": "a/b", "empty": ""}
    oracle.ask("POST", "identity/entity", {"name": "ann-entity", "metadata": metadata})
    entity = oracle.ask("GET", "identity/entity/name/ann-entity")[1]["data"]["id"]
    alias = {"name": "ann", "canonical_id": entity, "mount_accessor": accessor}
    oracle.ask("POST", "identity/entity-alias", alias)
    alias_id = oracle.ask("GET", "identity/entity/name/ann-entity")[1]["data"]["aliases"][0]["id"]
    group = {"name": "crew", "member_entity_ids": [entity], "metadata": {"floor": "two"}}
    oracle.ask("POST", "identity/group", group)
    group_id = oracle.ask("GET", "identity/group/name/crew")[1]["data"]["id"]
    status, answer = oracle.ask("POST", "auth/userpass/login/ann", {"password": "p"}, token="")
    assert status == 200, answer
    identity = {
        "entity.id": entity,
        "entity.name": "ann-entity",
        **{f"entity.metadata.{name}": value for name, value in metadata.items()},
        f"entity.aliases.{accessor}.name": "ann",
        f"entity.aliases.{accessor}.id": alias_id,
        "groups.names.crew.id": group_id,
        "groups.names.crew.metadata.floor": "two",
        f"groups.ids.{group_id}.name": "crew",
    }
    return str(answer["auth"]["client_token"]), identity


def test_templates_are_filled_dropped_or_refused_alike(oracle: Oracle) -> None:
    _, identity = log_in(oracle, [])
    names = [*identity, "entity.metadata.none", "entity.groups.names", "entity.aliases.none.id", "groups.names.no.id"]
    directives = [*(f"identity.{name}" for name in names), " identity.entity.name ", "entity.name", "nonsense"]
    for directive in directives:
        text = (
            f'path "kv/x{{{{{directive}}}}}/+" {{ capabilities = ["read"] }} path "kv/ok" {{ capabilities = ["list"] }}'
        )
        _, (policy,) = store(oracle, [text])
        token, _ = log_in(oracle, ["p0"])
        acl = vault.access_list(policy, identity=identity)
        paths = ["kv/ok", "kv/x/y", *(f"kv/x{value}/y" for value in identity.values() if value)]
        status, answer = oracle.ask("POST", "sys/capabilities", {"token": token, "paths": paths})
        refused = vault.decide(acl, "kv/ok", "list").reason is vault.Reason.TEMPLATE_REFUSED
        assert refused == (status == asked.FORBIDDEN), (directive, answer)
        for path in [] if refused else paths:
            assert vault.capabilities(acl, path) == tuple(sorted(answer["data"][path])), (directive, path)


GATE = (
    'control_group = { ttl = "1h" factor "f" { controlled_capabilities = [%s] '
    'identity { group_names = ["g"] approvals = 1 } } }'
)


@pytest.mark.parametrize(
    ("policies", "held"),
    [
        (["gated"], {"read"}),
        (["a-plain", "gated"], set()),
        (["gated", "z-plain"], {"read"}),
        (["both"], {"read", "update"}),
    ],
)
def test_control_group_holds_what_we_say(oracle: Oracle, policies: list[str], held: set[str]) -> None:
    rule = 'path "kv/gate" {{ capabilities = ["read", "update"] {} }}'
    texts = {"gated": GATE % '"read"', "both": GATE % '"read", "update"', "a-plain": "", "z-plain": ""}
    for name, gate in texts.items():
        assert oracle.write_policy(name, rule.format(gate))
    token, _ = log_in(oracle, policies)
    oracle.ask("PUT", "kv/gate", {"x": "1"})
    parsed = [vault.parse(rule.format(texts[name]), name) for name in reversed(policies)]
    for capability, method, body in (("read", "GET", None), ("update", "PUT", {"x": "2"})):
        status, answer = oracle.ask(method, "kv/gate", body, token=token)
        assert status in (200, 204)
        assert bool(answer.get("wrap_info")) == (capability in held)
        decision = vault.evaluate(parsed, "kv/gate", capability, body)
        assert decision.gated == (capability in held)
        assert decision.allowed == (capability not in held)

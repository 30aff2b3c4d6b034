"""No file can bring the readers down: whatever is in it, the answer is a plan or errors with places."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrowgate.compile import CompileError, compile_plan
from narrowgate.declarations import DeclarationErrors, load_environment, load_plan
from narrowgate.declarations.source import read_source

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = int(os.environ.get("NARROWGATE_EXAMPLES", "60"))
STACKS = Path(__file__).resolve().parents[2] / "stacks"
FILES = [
    *sorted((STACKS / "tools").glob("*.yaml")),
    *sorted((STACKS / "workflows").glob("*.yaml")),
    STACKS / "Pulumi.dev.yaml",
]
NAMES = [str(path.relative_to(STACKS)) for path in FILES]
ODD = st.sampled_from(
    ["", "*", "${scope.x}", "${env.account}", "${", "a.b.c", "'", '"', "\\", "{{name}}", "1h", "none", "s3:GetObject"]
) | st.sampled_from(
    ["arn:${env.partition}:s3:::${binding.bucket}/x", "arn:a:b:c:d:e", "f(text)", "x" * 2000, "ñ", "\u202e", "-", "0"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | ODD | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | ODD, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bytes], None]:
    """Return a function that plans and compiles the committed declarations with one file replaced."""
    folder = tmp_path_factory.mktemp("robust") / "stacks"
    shutil.copytree(STACKS, folder)

    def replace(name: str, content: bytes) -> None:
        original = (STACKS / name).read_bytes()
        (folder / name).write_bytes(content)
        try:
            compile_plan(load_plan(folder, load_environment(folder, "dev")))
        except DeclarationErrors as caught:
            check_errors(caught)
        except CompileError as caught:
            str(caught).encode()
        finally:
            (folder / name).write_bytes(original)

    return replace


def check_errors(caught: DeclarationErrors) -> None:
    assert caught.errors
    for error in caught.errors:
        assert error.location.line >= 1
        assert error.location.column >= 1
        assert error.code
        str(error).encode()


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return every path in a declaration."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def put(value: object, path: tuple[str | int, ...], new: object) -> object:
    """Return `value` with `new` at `path`."""
    if not path:
        return new
    head, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    copy[head] = put(copy[head], tuple(rest), new)  # type: ignore[index]
    return copy


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_anywhere_is_a_plan_or_errors(judge: Callable[[str, bytes], None], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    value = read_source(STACKS / name).value
    path = data.draw(st.sampled_from(places(value)))
    changed = put(value, path, data.draw(VALUES))
    judge(name, json.dumps(changed, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass"))


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_change_of_bytes_is_a_plan_or_errors(judge: Callable[[str, bytes], None], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    content = (STACKS / name).read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 20)))
    judge(
        name,
        content[:start]
        + data.draw(st.binary(max_size=8) | st.text("{}[]:,-&*!|>'\"%@`# \n\t", max_size=8).map(str.encode))
        + content[end:],
    )

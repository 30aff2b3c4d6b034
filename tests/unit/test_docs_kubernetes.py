"""The Kubernetes example fits Kubernetes' published fields, the injector's annotations, and a compiled manifest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import models
from ruamel.yaml import YAML

from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan
from narrowgate.runtime import read_manifest
from narrowgate.runtime.clients.agent_config import CONFIGURATION, render_agent_config

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "tests" / "golden" / "catalogue"
WORKFLOW, TOOL, FILE = "cluster-report", "functions", "functions.aws.json"
MODELS = {"ServiceAccount": "V1ServiceAccount", "ConfigMap": "V1ConfigMap", "Deployment": "V1Deployment"}
PREFIX = "vault.hashicorp.com/"
# https://developer.hashicorp.com/vault/docs/deploy/kubernetes/injector/annotations
ANNOTATIONS = {
    "agent-inject",
    "agent-inject-token",
    "agent-pre-populate-only",
    "agent-revoke-on-shutdown",
    "agent-run-as-same-user",
    "auth-path",
    "ca-cert",
    "namespace",
    "role",
    "service",
    "tls-secret",
}
FOR_FILES = ("agent-inject-secret-", "agent-inject-perms-", "agent-inject-template-")


def read_example() -> dict[str, Any]:
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return {document["kind"]: document for document in YAML(typ="safe").load_all(block)}


EXAMPLE = read_example()


def find_unknown(value: Any, kind: str, at: str) -> list[str]:  # noqa: ANN401 - JSON
    """Return what in `value` is no field, or of no type, of the published model `kind`."""
    if listed := re.fullmatch(r"[Ll]ist\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{at}: no list"]
        return [wrong for index, item in enumerate(value) for wrong in find_unknown(item, listed[1], f"{at}[{index}]")]
    if mapped := re.fullmatch(r"[Dd]ict[\[(]str, (.+)[\])]", kind):
        return [wrong for key, item in value.items() for wrong in find_unknown(item, mapped[1], f"{at}.{key}")]
    model = getattr(models, kind, None)
    if model is None:
        expected = {"str": str, "int": int, "bool": bool, "object": object}[kind]
        return [] if type(value) is expected or expected is object else [f"{at}: no {kind}"]
    if not isinstance(value, dict):
        return [f"{at}: no object"]
    fields = {name: model.openapi_types[own] for own, name in model.attribute_map.items()}
    wrong = [f"{at}.{name}: unknown" for name in value if name not in fields]
    for name, item in value.items():
        if name in fields:
            wrong += find_unknown(item, fields[name], f"{at}.{name}")
    return wrong


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_is_one_that_kubernetes_publishes(kind: str) -> None:
    assert find_unknown(EXAMPLE[kind], MODELS[kind], kind) == []


def test_a_wrong_field_would_be_found() -> None:
    pod = {"serviceAccount": "x", "containers": [{"name": 1, "imagge": "x"}]}
    assert find_unknown(pod, "V1PodSpec", "pod") == [
        "pod.containers[0].imagge: unknown",
        "pod.containers[0].name: no str",
    ]


def test_annotations_follow_from_the_manifest() -> None:
    plan = compile_plan(load_plan(CATALOGUE, load_environment(CATALOGUE, "test")))
    (manifest,) = [read_manifest(w.manifest) for w in plan.workflows if w.access.name == WORKFLOW]
    assert manifest.identity == "kubernetes"
    template = EXAMPLE["Deployment"]["spec"]["template"]
    given = {name.removeprefix(PREFIX): text for name, text in template["metadata"]["annotations"].items()}
    own = {name for name in given if not name.startswith(FOR_FILES)}
    assert own == ANNOTATIONS
    assert {name for name in given if name.startswith(FOR_FILES)} == {prefix + FILE for prefix in FOR_FILES}
    assert all(isinstance(text, str) for text in given.values())
    assert given["auth-path"] == f"auth/{manifest.auth_mount}"
    assert given["role"] == manifest.auth_role
    assert (given["service"], given["namespace"]) == (manifest.address, manifest.namespace)
    assert given[f"agent-inject-secret-{FILE}"] == manifest.tools[TOOL].path


def test_the_template_is_that_of_agent_config(tmp_path: Path) -> None:
    plan = compile_plan(load_plan(CATALOGUE, load_environment(CATALOGUE, "test")))
    (document,) = [w.manifest for w in plan.workflows if w.access.name == WORKFLOW]
    as_jwt = {**document, "login": {**document["login"], "identity": "jwt"}}
    files = render_agent_config(read_manifest(as_jwt), [TOOL], folder=tmp_path, token_file=tmp_path)
    annotations = EXAMPLE["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations[f"{PREFIX}agent-inject-template-{FILE}"].strip() in files[CONFIGURATION]


def test_the_service_account_is_the_one_that_is_bound() -> None:
    account, deployment = EXAMPLE["ServiceAccount"]["metadata"], EXAMPLE["Deployment"]
    environment = load_environment(CATALOGUE, "test")
    bound = next(bound for bound in environment.workflows if bound.workflow == WORKFLOW)
    assert (account["namespace"], account["name"]) == (bound.namespace, bound.service_account)
    assert deployment["metadata"]["namespace"] == account["namespace"]
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()

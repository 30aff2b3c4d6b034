"""Any API path: `vault.generic.Endpoint`, and `vault.generic.Secret` for a key-value engine of either version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import hvac

from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.vault.client import Vault
    from rehearsal.doubles.wire import Values


def _create_endpoint(vault: Vault, inputs: Values) -> tuple[str, Values]:
    return inputs["path"], _update_endpoint(vault, inputs["path"], {}, inputs)


def _update_endpoint(vault: Vault, path: str, _old: Values, new: Values) -> Values:
    answer = vault.write(path, json.loads(new["dataJson"]))
    kept = {name: answer[name] for name in new.get("writeFields") or () if name in answer}
    return {
        "writeData": {name: value if isinstance(value, str) else json.dumps(value) for name, value in kept.items()},
        "writeDataJson": json.dumps(kept, sort_keys=True),
    }


def _read_endpoint(vault: Vault, path: str) -> Live | None:
    data = vault.read(path)
    return None if data is None else Live({"path": path, "dataJson": json.dumps(data, sort_keys=True)})


def _delete_endpoint(vault: Vault, path: str, state: Values) -> None:
    if not state.get("disableDelete"):
        vault.delete(path)


def _data_path(vault: Vault, path: str, verb: str) -> str:
    """Return the API path of a key: version 2 of the key-value engine has `data` or `metadata` after the mount."""
    try:
        mount = vault.read(f"sys/internal/ui/mounts/{path}") or {}
    except hvac.exceptions.Forbidden:  # so Vault answers where there is no mount: the read that follows says so
        return path
    if (mount.get("options") or {}).get("version") != "2":
        return path
    root = str(mount["path"]).strip("/")
    return f"{root}/{verb}/{path.removeprefix(root).strip('/')}"


def _create_secret(vault: Vault, inputs: Values) -> tuple[str, Values]:
    return inputs["path"], _update_secret(vault, inputs["path"], {}, inputs)


def _update_secret(vault: Vault, path: str, _old: Values, new: Values) -> Values:
    place, values = _data_path(vault, path, "data"), json.loads(new["dataJson"])
    vault.write(place, values if place == path else {"data": values})
    return {"data": {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}}


def _read_secret(vault: Vault, path: str) -> Live | None:
    place = _data_path(vault, path, "data")
    found = vault.read(place)
    values = found if place == path or found is None else found.get("data")
    return None if values is None else Live({"path": path, "dataJson": json.dumps(values, sort_keys=True)})


def _delete_secret(vault: Vault, path: str, state: Values) -> None:
    vault.delete(_data_path(vault, path, "metadata" if state.get("deleteAllVersions") else "data"))


def _only_written(read: Values, old: Values) -> Values:
    """Return what was read without the fields that the program did not write: an endpoint answers with more."""
    if "dataJson" not in old:
        return read
    written, answer = json.loads(old["dataJson"]), json.loads(read["dataJson"])
    return {**read, "dataJson": json.dumps({k: v for k, v in answer.items() if k in written}, sort_keys=True)}


ENDPOINT: Final[ResourceType[Vault]] = ResourceType(
    create=_create_endpoint,
    read=_read_endpoint,
    update=_update_endpoint,
    delete=_delete_endpoint,
    required=frozenset({"path", "dataJson"}),
    replace=frozenset({"path"}),
    identity=frozenset({"path"}),
    computed=frozenset({"writeData", "writeDataJson"}),
    known=frozenset({"path", "dataJson", "disableRead", "disableDelete", "ignoreAbsentFields", "writeFields"}),
    documents=frozenset({"dataJson"}),
    secrets=frozenset({"dataJson", "writeData", "writeDataJson"}),
    adopt=_only_written,
)
SECRET: Final[ResourceType[Vault]] = ResourceType(
    create=_create_secret,
    read=_read_secret,
    update=_update_secret,
    delete=_delete_secret,
    required=frozenset({"path", "dataJson"}),
    replace=frozenset({"path"}),
    identity=frozenset({"path"}),
    computed=frozenset({"data"}),
    known=frozenset({"path", "dataJson", "deleteAllVersions", "disableRead"}),
    documents=frozenset({"dataJson"}),
    secrets=frozenset({"dataJson", "data"}),
)

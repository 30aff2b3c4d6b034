"""What an agent proposes and how it learns what became of that: it writes a draft once, and reads one answer.

The draft's path tells Vault's account of who wrote it (workflow and user), and the request's id is a pure function of
that path. An agent can read neither drafts nor cases. Executors follow the same rules: they import them from here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from narrowgate.runtime.errors import AccessRefusedError, ProposalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.runtime.manifest import Manifest, ManifestAction
    from narrowgate.runtime.session import Login

VERSION: Final = 1
MAX_INPUTS_BYTES: Final = 65_536
MAX_RATIONALE: Final = 4_000
OPEN: Final = "open"
_CONFLICT: Final = "check-and-set"
_KEY_LENGTH: Final = 20
_DRAFT_LENGTH: Final = 26


@dataclass(frozen=True, slots=True)
class Proposal:
    """What became of a request: `state` is `open`, or how it ended; `words` say that for people.

    Final states: `executed` (with its `result`), `failed` (nothing was changed), `in-doubt` (it may have been
    executed), `denied`, `expired`, `refused`, `stopped`. `at` is when it ended (RFC 3339), empty while it is open.
    """

    request: str
    state: str
    words: str = ""
    at: str = ""
    result: Any = None

    @property
    def final(self) -> bool:
        """Return whether nothing more will become of it."""
        return self.state != OPEN


def make_request_id(workflow: str, entity: str, draft: str) -> str:
    """Return the id of what becomes of one draft: `<workflow>.<20 characters>`, a pure function of its path."""
    return f"{workflow}.{_digest(workflow, entity, draft)[:_KEY_LENGTH]}"


def propose(login: Login, manifest: Manifest, action: ManifestAction, draft: Mapping[str, Any], key: str | None) -> str:
    """Write a draft and return the request's id; the same key and draft are one request, however often they are sent.

    Raises ProposalError, or as `Login.fetch` does.
    """
    _check(action, draft)
    entity, drafts = login.entity, _place(manifest, "drafts")
    seed = secrets.token_hex(16) if key is None else key
    text = json.dumps(draft, sort_keys=True, allow_nan=False)
    name = f"{draft['action']}.{_digest(seed, text)[:_DRAFT_LENGTH]}"
    try:
        login.fetch(f"{drafts}/{entity}/{name}", {"data": dict(draft), "options": {"cas": 0}})
    except AccessRefusedError:
        # Vault says the same of a draft that stands there already (an answer was lost on the way) as of no access.
        if not _may_write(login, f"{drafts}/{entity}/{draft['action']}.{secrets.token_hex(13)}"):
            raise
    return make_request_id(manifest.workflow, entity, name)


def read_proposal(login: Login, manifest: Manifest, request: str) -> Proposal:
    """Return what became of a request of this agent and user. Raises ProposalError, or as `Login.fetch` does."""
    match = re.fullmatch(rf"{re.escape(manifest.workflow)}\.([a-z2-7]{{{_KEY_LENGTH}}})", request)
    if match is None:
        raise ProposalError(f"That is no request id of {manifest.workflow}.", hint="Take what `propose` returned.")
    path = f"{_place(manifest, 'answers')}/{login.entity}/{match.group(1)}"
    answer = login.find(path)
    if answer is None:
        return Proposal(request, OPEN)
    entry = answer["data"]["data"]
    return Proposal(request, str(entry["state"]), str(entry["words"]), str(entry["at"]), entry.get("result"))


def _may_write(login: Login, path: str) -> bool:
    """Ask to overwrite version 1 of what does not exist: where that is allowed, Vault says that it is not so."""
    try:
        login.fetch(path, {"data": {}, "options": {"cas": 1}})
    except AccessRefusedError as error:
        return _CONFLICT in str(error)
    return False


def _place(manifest: Manifest, name: str) -> str:
    try:
        return str(manifest.proposals[name])
    except KeyError:
        raise ProposalError(
            f"The manifest of {manifest.workflow} names no place for proposals.",
            hint="Its environment has no gate, or the manifest is an old one: take the current one.",
        ) from None


def _check(action: ManifestAction, draft: Mapping[str, Any]) -> None:
    """Raise ProposalError for what the executor would refuse; it says where, and never what was given."""
    rationale, inputs = draft["rationale"], draft["inputs"]
    if not rationale.strip():
        raise ProposalError("A proposal needs a rationale.", hint="Say in a few words why a person should approve it.")
    if len(rationale) > MAX_RATIONALE:
        raise ProposalError(f"The rationale is longer than {MAX_RATIONALE} characters.")
    try:
        size = len(json.dumps(inputs, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError):
        raise ProposalError("The inputs cannot be written as JSON in UTF-8.") from None
    if size > MAX_INPUTS_BYTES:
        raise ProposalError(f"The inputs take {size} bytes; {MAX_INPUTS_BYTES} are allowed.")
    if action.inputs is not None:
        _check_schema(action.inputs, inputs)


def _check_schema(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    from jsonschema import Draft202012Validator  # it takes its time, and not every agent proposes

    for error in Draft202012Validator(dict(schema)).iter_errors(inputs):
        where = "/".join(map(str, error.absolute_path)) or "the inputs"
        raise ProposalError(f"{where}: does not fit {error.validator} of the action's schema.")


def _digest(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest).decode().lower()

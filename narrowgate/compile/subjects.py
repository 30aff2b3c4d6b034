"""How CI names a job in its tokens' `sub`, and which jobs may be a system identity.

Only a job of one repository that ran in one environment, or on one branch, known exactly: never a pull request, whose
code nobody has reviewed, and never a pattern. This module must not know any cloud.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from narrowgate.compile.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://docs.github.com/en/actions/concepts/security/openid-connect
# https://docs.gitlab.com/ci/secrets/id_token_authentication/
_NAME: Final = r"[A-Za-z0-9_.-]+"
_BRANCH: Final = r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*"
_ENVIRONMENT: Final = re.compile(rf"repo:{_NAME}/{_NAME}:environment:(?P<environment>{_NAME})")
_REFS: Final = (
    re.compile(rf"repo:{_NAME}/{_NAME}:ref:refs/heads/{_BRANCH}"),
    re.compile(rf"project_path:{_NAME}(?:/{_NAME})+:ref_type:branch:ref:{_BRANCH}"),
)
# Both GitHub and GitLab say with it that the branch is protected.
PROTECTED_CLAIM: Final = "ref_protected"


def check_subject(subject: str, environment: str, claims: Mapping[str, str]) -> Problem | None:
    """Return why `subject` may not stand for a system identity of `environment`, or None.

    A branch needs the claim `ref_protected: "true"` beside it; a CI environment must be named after ours, since its
    protection rules (who approves, which branches) are what keeps a job out.
    """
    if any(character in subject for character in "*?"):
        return _open(f"`{subject}` is a pattern", "name one repository and environment exactly")
    if re.search(r"pull_request|merge_request|refs/pull/", subject):
        hint = "a pull request's code is nobody's yet: bind a protected environment of CI"
        return _open(f"`{subject}` lets any pull request in", hint)
    if named := _ENVIRONMENT.fullmatch(subject):
        return _check_environment(subject, named["environment"], environment)
    if not any(form.fullmatch(subject) for form in _REFS):
        hint = f"as in `repo:acme/agents:environment:{environment}`"
        return Problem((), "bad-format", f"`{subject}` names no environment and no branch of one repository", hint)
    if claims.get(PROTECTED_CLAIM) != "true":
        hint = f'add the claim `{PROTECTED_CLAIM}: "true"`, or bind a protected environment of CI'
        return _open(f"`{subject}` may be a branch that nobody protects", hint)
    return None


def _open(message: str, hint: str) -> Problem:
    return Problem((), "subject-open", message, hint)


def _check_environment(subject: str, named: str, environment: str) -> Problem | None:
    if named == environment or named.startswith(f"{environment}-"):
        return None
    hint = f"name CI's environment `{environment}`, or let its name begin with `{environment}-`"
    return Problem((), "foreign-environment", f"`{subject}` is CI's environment `{named}`", hint)

"""Approvals: an agent drafts, people decide, an executor that is neither carries out exactly what they approved, once.

    settings    what approvers and executors know of an environment's gate (`read_gate`); not secret
    case        the values: draft, case, decision, outcome; one canonical text and its digest
    decide      what a person can do with their own Vault token (`Approver`)
    executor    what makes cases of drafts and carries out approved ones (`Executor`), with `handlers`
    text        what makes an agent's text safe to look at

What a page or a command needs, and nothing more:

    gate = read_gate()                                   # NARROWGATE_GATE, or a path, or the content
    with log_in_approver(gate, jwt) as approver:         # or resume_approver(gate, vault_token): a session of its own
        approver.vault.token                             # the person's own Vault token: the session is bound to it
        approver.who()              -> Session(person=Person(entity, name, groups), seconds_left)
        approver.list_cases()       -> [CaseView], open ones, the oldest first; closed=True: all
        approver.read_case(request) -> CaseView: case, digest, state, decisions, missing, refusal, outcome, read_at
        approver.approve(request, digest=view.digest, reason=…, seen_at=view.read_at) -> CaseView
        approver.deny(request, digest=view.digest, reason=…, seen_at=view.read_at)    -> CaseView
        approver.stop_all(reason)   -> None; approver.list_stops() -> [(Person, Stop(entity, at, reason))]
        approver.log_out()

`view.case` is a `Case`: who asks (`requester.name`), for which workflow and action, `changes` (each `what`, `before`,
`after`), `target`, `inputs`, `rationale`, `reversible`, `factors` (groups, required), `created_at`, `expires_at`.
`view.refusal` says in words why this person may not decide on it, None where they may; `view.missing` how many
approvals it still needs. Pass the digest that was on the screen: another one raises NotShownError. Every text of a
case is an agent's: show it by `text.show` or `text.show_value`, with `text.find_oddities` beside it, and escape that
for where it stands. All errors are `errors.ApprovalsError` with `code` and `hint`.

Nobody here has more rights than the token that they bring. This room must not import components or compilers.
"""

from narrowgate.approvals.case import Case, Change, Outcome, Person, State, Verdict
from narrowgate.approvals.decide import Approver, CaseView, PersonalDecision, Session, log_in_approver, resume_approver
from narrowgate.approvals.errors import (
    ApprovalsError,
    CaseAlteredError,
    DecidedError,
    LoginError,
    NotAllowedError,
    NotFoundError,
    NotShownError,
    SettingsError,
    VaultDownError,
    VaultRefusedError,
)
from narrowgate.approvals.settings import Gate, GatedAction, read_gate

__all__ = [
    "ApprovalsError",
    "Approver",
    "Case",
    "CaseAlteredError",
    "CaseView",
    "Change",
    "DecidedError",
    "Gate",
    "GatedAction",
    "LoginError",
    "NotAllowedError",
    "NotFoundError",
    "NotShownError",
    "Outcome",
    "Person",
    "PersonalDecision",
    "Session",
    "SettingsError",
    "State",
    "VaultDownError",
    "VaultRefusedError",
    "Verdict",
    "log_in_approver",
    "read_gate",
    "resume_approver",
]

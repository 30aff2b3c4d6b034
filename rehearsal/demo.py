"""Shows three agents at work on the running rehearsal: what they may do, and what is refused when they try it.

Every line is tried for real, with the credentials that Vault issued, against the servers themselves; a refusal counts
only when the server refused in the way that was expected. The demo changes nothing: what it writes it takes back.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from narrowgate.runtime import Agent, ExpiredError, GatedActionError, LoginRefusedError, login
from narrowgate.runtime.recording import OFF
from rehearsal.attempts import (
    RefusedError,
    count_rows,
    execute,
    find_manifest,
    list_documents,
    present_login,
    read_vault,
    search_logs,
    sign,
)
from rehearsal.environments import find_bucket
from rehearsal.errors import RehearsalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from rehearsal.layout import EnvironmentLayout

SUMMARIZATION, DRAFTING, ONBOARDING = "incident-summarization", "ticket-drafting", "vendor-onboarding"
PAST_SECONDS = -60
MILLISECONDS = 1000
WHAT_WIDTH = 42
ALLOWED, REFUSED = "allowed", "refused"


@dataclass(frozen=True, slots=True)
class Trial:
    """One attempt: `who` tries `what`, which must be `expected`. `attempt` returns the answer, or raises a refusal."""

    who: str
    what: str
    expected: str
    attempt: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trial: the server's `answer`, and the time it took in milliseconds."""

    who: str
    what: str
    expected: str
    seen: str
    answer: str
    milliseconds: float

    @property
    def as_expected(self) -> bool:
        """Return whether the server decided as the declaration says."""
        return self.expected == self.seen


class DemoError(RehearsalError):
    """Something was allowed that must be refused, or refused that must be allowed."""

    code = "demo-unexpected"


def run_demo(layout: EnvironmentLayout, console: Console, other: EnvironmentLayout | None = None) -> list[Outcome]:
    """Try everything, print it on `console`, and return what was seen.

    Where an `other` environment runs, what is the first one's is tried there too.

    Raises:
        DemoError: the outcome of a trial is not the declared one.

    """
    outcomes: list[Outcome] = []
    for user, workflow, list_trials in (
        ("alice", SUMMARIZATION, _list_summarization),
        ("sam", DRAFTING, _list_drafting),
        ("vera", ONBOARDING, _list_onboarding),
    ):
        started = time.perf_counter()
        layout.ledgers.mkdir(mode=0o700, exist_ok=True)
        token = sign(layout, user, workflow)
        with login(find_manifest(layout, workflow), token, ledger=layout.ledgers) as agent:
            took = (time.perf_counter() - started) * MILLISECONDS
            who = f"{workflow} for {user}"
            outcomes.append(
                Outcome(who, "log in", ALLOWED, ALLOWED, f"{len(agent.manifest.tools)} tools declared", took)
            )
            outcomes += [_try(trial) for trial in list_trials(layout, agent, who)]
    outcomes += [_try(trial) for trial in _list_logins(layout)]
    if other is not None:
        outcomes += _cross(layout, other)
    _print(console, outcomes)
    wrong = [outcome for outcome in outcomes if not outcome.as_expected]
    if wrong:
        lines = "; ".join(f"{o.who}: {o.what}: expected {o.expected}, but {o.seen} ({o.answer})" for o in wrong)
        raise DemoError(lines, hint="compare stacks/ with the deployed stack: pulumi preview")
    refused = sum(outcome.expected == REFUSED for outcome in outcomes)
    console.print(f"{len(outcomes) - refused} allowed, {refused} refused, as declared.")
    return outcomes


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return `outcomes` as JSON-ready values."""
    return [asdict(outcome) for outcome in outcomes]


def _try(trial: Trial) -> Outcome:
    started = time.perf_counter()
    try:
        seen, answer = ALLOWED, trial.attempt()
    except RefusedError as error:
        seen, answer = REFUSED, str(error)
    took = (time.perf_counter() - started) * MILLISECONDS
    return Outcome(trial.who, trial.what, trial.expected, seen, answer, took)


# -- what is tried


def _list_logins(layout: EnvironmentLayout) -> list[Trial]:
    """Return the logins that Vault must refuse."""
    manifest = find_manifest(layout, SUMMARIZATION)

    def log_in(token: str) -> Callable[[], str]:
        def attempt() -> str:
            try:
                with login(manifest, token, ledger=OFF):
                    return "logged in"
            except (LoginRefusedError, ExpiredError) as error:
                raise RefusedError(str(error).rpartition("login of ")[2]) from error

        return attempt

    who = SUMMARIZATION
    return [
        Trial(f"{who} for mallory", "log in: in no group", REFUSED, log_in(sign(layout, "mallory", who))),
        Trial(f"{who} for vera", "log in: not on call", REFUSED, log_in(sign(layout, "vera", who))),
        Trial(f"{DRAFTING} for alice", f"log in as {who}", REFUSED, log_in(sign(layout, "alice", DRAFTING))),
        Trial(f"{who} for alice", "log in: expired token", REFUSED, log_in(sign(layout, "alice", who, PAST_SECONDS))),
    ]


def _cross(here: EnvironmentLayout, there: EnvironmentLayout) -> list[Outcome]:
    """Try what is `here`'s in the environment `there`, then that environment's own: each for the same person."""
    there.ledgers.mkdir(mode=0o700, exist_ok=True)
    bucket, who = find_bucket(there), f"{SUMMARIZATION} for alice, in {there.environment}"
    manifest = find_manifest(there, SUMMARIZATION)

    def log_in() -> str:
        try:
            with login(manifest, sign(here, "alice", SUMMARIZATION), ledger=OFF):
                return "logged in"
        except LoginRefusedError as error:
            raise RefusedError(str(error).rpartition("login of ")[2]) from error

    whose, alice = f"{here.environment}'s", ("alice", SUMMARIZATION)
    with login(find_manifest(here, SUMMARIZATION), sign(here, "alice", SUMMARIZATION), ledger=here.ledgers) as agent:
        documents = agent.aws("documents")
        outcomes = [
            _try(trial)
            for trial in (
                Trial(who, f"log in: {whose} identity token", REFUSED, log_in),
                Trial(who, f"Vault: {whose} login", REFUSED, lambda: present_login(here, there, alice)),
                Trial(
                    who,
                    f"documents, by {whose} credentials",
                    REFUSED,
                    lambda: list_documents(documents, bucket, "runbooks/"),
                ),
            )
        ]
    with login(manifest, sign(there, "alice", SUMMARIZATION), ledger=there.ledgers) as agent:
        documents = agent.aws("documents")
        outcomes += [
            _try(trial)
            for trial in (
                Trial(
                    who, "documents: list runbooks/", ALLOWED, lambda: list_documents(documents, bucket, "runbooks/")
                ),
                Trial(who, "documents: list vendors/", REFUSED, lambda: list_documents(documents, bucket, "vendors/")),
                Trial(
                    who, "incidents: titles in emea", ALLOWED, lambda: count_rows(agent, "incidents", "title", "emea")
                ),
            )
        ]
    return outcomes


def _list_summarization(layout: EnvironmentLayout, agent: Agent, who: str) -> list[Trial]:
    logs, documents, bucket = agent.aws("logs"), agent.aws("documents"), find_bucket(layout)
    return [
        Trial(who, "logs: search /app/payments", ALLOWED, lambda: search_logs(logs, "/app/payments")),
        Trial(who, "logs: search /app/identity", REFUSED, lambda: search_logs(logs, "/app/identity")),
        Trial(who, "documents: list runbooks/", ALLOWED, lambda: list_documents(documents, bucket, "runbooks/")),
        Trial(who, "documents: list vendors/", REFUSED, lambda: list_documents(documents, bucket, "vendors/")),
        Trial(who, "documents, by the credentials of logs", REFUSED, lambda: list_documents(logs, bucket, "runbooks/")),
        Trial(who, "incidents: titles in emea", ALLOWED, lambda: count_rows(agent, "incidents", "title", "emea")),
        Trial(who, "incidents: titles in amer", REFUSED, lambda: count_rows(agent, "incidents", "title", "amer")),
        Trial(
            who, "incidents: customer_email", REFUSED, lambda: count_rows(agent, "incidents", "customer_email", "emea")
        ),
        Trial(
            who,
            "Vault: credentials of vendor-onboarding",
            REFUSED,
            lambda: read_vault(layout, ("alice", SUMMARIZATION), "narrowgate-database/creds/vendor-onboarding.vendors"),
        ),
        Trial(
            who,
            "Vault: sys/auth",
            REFUSED,
            lambda: read_vault(layout, ("alice", SUMMARIZATION), "sys/auth"),
        ),
    ]


def _list_drafting(layout: EnvironmentLayout, agent: Agent, who: str) -> list[Trial]:  # noqa: ARG001 - one shape for all three
    insert = "INSERT INTO tickets (tenant, title, body, status) VALUES (%s, 'Refund 88213', 'Drafted.', %s)"
    close = "UPDATE tickets SET status = 'closed'"
    return [
        Trial(
            who, "tickets: write a draft in emea", ALLOWED, lambda: execute(agent, "tickets", insert, "emea", "draft")
        ),
        Trial(
            who, "tickets: write a draft in amer", REFUSED, lambda: execute(agent, "tickets", insert, "amer", "draft")
        ),
        Trial(who, "tickets: open a ticket", REFUSED, lambda: execute(agent, "tickets", insert, "emea", "open")),
        Trial(who, "tickets: close a ticket", REFUSED, lambda: execute(agent, "tickets", close)),
    ]


def _list_onboarding(layout: EnvironmentLayout, agent: Agent, who: str) -> list[Trial]:  # noqa: ARG001 - as above
    create = "SELECT create_vendor('emea', 'Ghost Ltd', 'IE', 'IE00', 'sha256:')"

    def ask_for_gated() -> str:
        try:
            agent.postgres("vendors", action="create")
        except GatedActionError as error:
            raise RefusedError(str(error)) from error
        return "a connection"

    return [
        Trial(who, "vendors: names in emea", ALLOWED, lambda: count_rows(agent, "vendors", "name", "emea")),
        Trial(who, "vendors: bank_account", REFUSED, lambda: count_rows(agent, "vendors", "bank_account", "emea")),
        Trial(who, "vendors.create (high impact)", REFUSED, ask_for_gated),
        Trial(who, "vendors.create, by its SQL", REFUSED, lambda: execute(agent, "vendors", create)),
    ]


def _print(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print one line for each outcome, under a heading for each agent."""
    last = ""
    for outcome in outcomes:
        if outcome.who != last:
            console.print(Text(outcome.who, "bold"), soft_wrap=True)
            last = outcome.who
        style = ("green" if outcome.seen == ALLOWED else "yellow") if outcome.as_expected else "bold red"
        line = Text.assemble(
            f"  {outcome.what:<{WHAT_WIDTH}} ",
            (f"{outcome.seen:<8}", style),
            f"{outcome.milliseconds:5.0f} ms  ",
            (outcome.answer, "dim"),
        )
        console.print(line, soft_wrap=True)

"""Checks of AWS: the account, the clock, the boundary, and what each system identity may really do there.

What an identity may do is compared, both ways, with the one table of ceilings: more is a danger, less breaks the work.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from narrowgate.access import iam
from narrowgate.compile import names
from narrowgate.operations.doctor.clock import compare_clock
from narrowgate.operations.doctor.patient import SickError
from narrowgate.rules.system_identities import ceilings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.operations.doctor.patient import Patient
    from narrowgate.rules.system_identities import Ceiling

DEPLOY_FOUNDATION: Final = "Deploy the environment's foundation as an administrator, by `pulumi up --refresh`."


def check_account(patient: Patient) -> str:
    """Look whether the credentials at hand are of the environment's account."""
    found, wanted = patient.aws("sts").get_caller_identity()["Account"], patient.environment.aws.account
    if found != wanted:
        raise SickError(f"The AWS credentials at hand are of {found}, not {wanted}.", hint="Set AWS_PROFILE.")
    return str(wanted)


def check_clock(patient: Patient) -> str:
    """Look whether AWS's clock is ours: sessions are cut off by time."""
    answer = patient.aws("sts").get_caller_identity()
    return compare_clock("AWS's", answer["ResponseMetadata"]["HTTPHeaders"].get("date"))


def check_boundary(patient: Patient) -> str:
    """Look whether the permissions boundary says what was compiled."""
    aws, client = patient.environment.aws, patient.aws("iam")
    arn = names.boundary_arn(aws.partition, aws.account, patient.environment.name)
    try:
        version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = client.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    except client.exceptions.NoSuchEntityException:
        raise SickError(f"There is no boundary {arn}.", hint=DEPLOY_FOUNDATION) from None
    if _parse(found) != json.loads(json.dumps(_plain(patient.documents.boundary_policy))):
        raise SickError(f"The boundary {arn} is not the compiled one.", hint=DEPLOY_FOUNDATION)
    return arn


def check_identities(patient: Patient) -> str:
    """Look whether each system identity may do in AWS what the table says: no more, no less, for nobody else."""
    ceilings = [ceiling for ceiling in ceilings_of(patient.environment) if ceiling.arn]
    for ceiling in ceilings:
        _compare(ceiling, _read_policies(patient, ceiling))
    return ", ".join(ceiling.kind for ceiling in ceilings)


def _compare(ceiling: Ceiling, policies: list[Any]) -> None:
    if iam.compare(ceiling.allows, policies).no_new_access is not True:
        raise SickError(f"The {ceiling.kind} ({ceiling.arn}) may do more than it should.", hint=DEPLOY_FOUNDATION)
    if iam.compare(policies, ceiling.allows).no_new_access is not True:
        raise SickError(f"The {ceiling.kind} ({ceiling.arn}) may not do all that it must.", hint=DEPLOY_FOUNDATION)


def _read_policies(patient: Patient, ceiling: Ceiling) -> list[Any]:
    """Return the documents of all policies of an identity; raise SickError where it is missing, or trusts others."""
    client = patient.aws("iam")
    kind = "Role" if ":role/" in ceiling.arn else "User"
    holder = {f"{kind}Name": ceiling.name}
    lower = kind.lower()
    try:
        found = getattr(client, f"get_{lower}")(**holder)[kind]
        inline = getattr(client, f"list_{lower}_policies")(**holder)["PolicyNames"]
        attached = getattr(client, f"list_attached_{lower}_policies")(**holder)["AttachedPolicies"]
    except client.exceptions.NoSuchEntityException:
        raise SickError(f"There is no {ceiling.kind}: {ceiling.arn}.", hint=_make(ceiling)) from None
    if found["Arn"] != ceiling.arn:
        raise SickError(f"The {ceiling.kind} is {found['Arn']}, not {ceiling.arn}.", hint=_make(ceiling))
    if (
        ceiling.trusts
        and iam.compare(ceiling.trusts, _parse(found["AssumeRolePolicyDocument"])).no_new_access is not True
    ):
        raise SickError(f"The {ceiling.kind} ({ceiling.arn}) lets in somebody else.", hint=DEPLOY_FOUNDATION)
    read = getattr(client, f"get_{lower}_policy")
    documents = [_parse(read(**holder, PolicyName=name)["PolicyDocument"]) for name in inline]
    for policy in attached:
        version = client.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        text = client.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
        documents.append(_parse(text))
    return documents


def _make(ceiling: Ceiling) -> str:
    return "Make it, as the stack file names it." if ":user/" in ceiling.arn else DEPLOY_FOUNDATION


def _parse(document: Any) -> Any:  # noqa: ANN401 - JSON, or its text
    return json.loads(unquote(document)) if isinstance(document, str) else document


def _plain(value: Any) -> Any:  # noqa: ANN401 - frozen JSON
    if hasattr(value, "items"):
        pairs: Mapping[str, Any] = value
        return {key: _plain(inner) for key, inner in pairs.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value

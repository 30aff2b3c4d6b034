"""The program's own judge: a transform over all resources of the stack, by the same rules as the pack.

The engine asks it about each resource before it registers it, whoever wrote that (our components, a line beside them, a
component in another language), so a plain `pulumi up` without the pack is refused too. It judges inputs as the program
gives them: what is unknown at preview and matters is refused, and a reference to what does not exist yet is judged when
it is known, before the resource is made. The whole stack at once is the pack's to judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.output import Unknown
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from narrowgate.errors import NarrowgateError
from narrowgate.rules import RunningJudgement
from narrowgate_policies.configuration import settings_for
from narrowgate_policies.properties import UNKNOWN
from narrowgate_policies.resource import Resource
from narrowgate_policies.translate import facts_of
from narrowgate_policies.wording import violation_text

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.plan import Environment
    from narrowgate.rules import Finding, Settings


class RefusedResourceError(NarrowgateError):
    """A resource that breaks a rule; the message holds every finding."""

    code = "resource-refused"


def judge_every_resource(environment: Environment, lock: Path) -> None:
    """Have each resource that the program registers from now on judged by all rules; call it before the first one.

    `lock` is where the environment's access lock stands.
    """
    judge = ResourceJudge(settings_for(environment, lock))
    pulumi.runtime.register_resource_transform(judge.hear)


class ResourceJudge:
    """Judges resources one by one as the engine asks about them, and remembers them."""

    def __init__(self, settings: Settings) -> None:
        self._judgement = RunningJudgement(settings)

    async def hear(self, args: pulumi.ResourceTransformArgs) -> None:
        """Return nothing, which leaves the resource as it is; raise `RefusedResourceError` where a rule refuses it."""
        properties = {str(name): await known(value) for name, value in args.props.items()}
        urn = await _urn(args)
        resource = Resource(type=args.type_, urn=urn, properties=properties, later=pulumi.runtime.is_dry_run())
        findings = self._judgement.add(urn, facts_of(resource))
        if findings:
            raise RefusedResourceError(_refusal(args, findings))


async def known(value: Any) -> Any:  # noqa: ANN401 - what the SDK hands over, JSON (with UNKNOWN) out
    """Return a property as a plain value: secrets opened, outputs awaited, what is not known as `UNKNOWN`."""
    if isinstance(value, pulumi.Output):
        value = await value.future(with_unknowns=True) if await value.is_known() else Unknown()
    if is_rpc_secret(value):
        value = unwrap_rpc_secret(value)
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, dict):
        return {str(key): await known(item) for key, item in value.items()}
    if isinstance(value, list):
        return [await known(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def _urn(args: pulumi.ResourceTransformArgs) -> str:
    """Return the resource's URN, as the engine makes it of the parent's types, the type and the name."""
    parent, kinds = args.opts.parent, args.type_
    if parent is not None:
        above = str(await known(parent.urn)).split("::")
        if len(above) > _TYPES and above[_TYPES] != "pulumi:pulumi:Stack":
            kinds = f"{above[_TYPES]}${kinds}"
    return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{kinds}::{args.name}"


_TYPES = 2
"""Where in a URN's parts its types stand."""


def _refusal(args: pulumi.ResourceTransformArgs, findings: list[Finding]) -> str:
    said = "\n".join(violation_text(finding, name_rule=True) for finding in findings)
    return f"{args.type_} {args.name!r} is refused.\n{said}"

"""The program's own judge: a transform over all resources of the stack, by the same rules as the pack.

The engine asks it about each resource before it registers it, whoever wrote that (our components, a line beside them, a
component in another language), so a plain `pulumi up` without the pack is refused too. It judges inputs as the program
gives them: what is unknown at preview and matters is refused, and a reference to what does not exist yet is resolved by
what it comes from, which was registered before. The pack judges the whole stack at once as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pulumi
from pulumi.output import Unknown
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from narrowgate.errors import NarrowgateError
from narrowgate.rules import RunningJudgement
from narrowgate_policies.configuration import settings_for
from narrowgate_policies.properties import UNKNOWN
from narrowgate_policies.resource import Resource
from narrowgate_policies.translate import called, facts_of
from narrowgate_policies.wording import violation_text

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.plan import Environment, ForeignName
    from narrowgate.rules import Settings


class RefusedResourceError(NarrowgateError):
    """A resource that breaks a rule.

    It crosses the engine as the status of a call, which holds a few kilobytes: the findings themselves are logged.
    """

    code = "resource-refused"


def judge_every_resource(environment: Environment, lock: Path, foreign: tuple[ForeignName, ...] = ()) -> None:
    """Have each resource that the program registers from now on judged by all rules; call it before the first one.

    `lock` is where the environment's access lock stands; `foreign` are the names of what others are bound to.
    """
    judge = ResourceJudge(settings_for(environment, lock, foreign))
    pulumi.runtime.register_resource_transform(judge.hear)
    _end_without_traceback(judge)


def _end_without_traceback(judge: ResourceJudge) -> None:
    """Have a refusal end the program as a mistake of its author, not as a crash.

    The engine sends the refusal back as what registering the resource answers, of which the SDK makes an exception that
    no program can catch and that is shown with the SDK's own frames. An SDK that registers resources in another way
    would show those again; the refusal stands either way.
    """
    monitor: Any = pulumi.runtime.settings.get_monitor()
    register = monitor.RegisterResource

    def register_or_end(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the SDK passes
        try:
            return register(*arguments, **options)
        except grpc.RpcError as error:
            said = str(error.details()) if isinstance(error, grpc.Call) else ""
            refusal = next((text for text in judge.refusals if text in said), None)
            if refusal is None:
                raise
            raise pulumi.RunError(f"Nothing more is deployed: {refusal}") from None

    monitor.RegisterResource = register_or_end


class ResourceJudge:
    """Judges resources one by one as the engine asks about them, and remembers them.

    `refusals` are the texts of all errors that it raised so far.
    """

    def __init__(self, settings: Settings) -> None:
        self._judgement = RunningJudgement(settings)
        self._heard: dict[str, tuple[str, dict[str, Any]]] = {}
        self.refusals: list[str] = []

    async def hear(self, args: pulumi.ResourceTransformArgs) -> None:
        """Return nothing, which leaves the resource as it is; raise `RefusedResourceError` where a rule refuses it."""
        urn = await _urn(args)
        depends: dict[str, set[str]] = {}
        properties = {
            str(name): await _known(value, depends.setdefault(str(name), set())) for name, value in args.props.items()
        }
        self._heard[urn] = (args.type_, properties)

        def resolve(name: str) -> tuple[str, ...]:
            targets = [(on, *self._heard[on]) for on in sorted(depends.get(name, ())) if on in self._heard]
            return tuple(called(kind, on, known, name) for on, kind, known in targets)

        findings = self._judgement.add(
            urn, facts_of(Resource(type=args.type_, urn=urn, properties=properties, resolve=resolve))
        )
        for finding in findings:
            pulumi.log.error(violation_text(finding, name_rule=True))
        if findings:
            rules = ", ".join(dict.fromkeys(finding.rule for finding in findings))
            refusal = f"{args.type_} {args.name!r} is refused ({rules}): the errors above say why"
            self.refusals.append(refusal)
            raise RefusedResourceError(refusal)


async def _known(value: Any, depends: set[str]) -> Any:  # noqa: ANN401 - what the SDK hands over, JSON (with UNKNOWN) out
    """Return a property as a plain value: secrets opened, outputs awaited, what is not known as `UNKNOWN`.

    The URNs of the resources that it comes from are added to `depends`.
    """
    if isinstance(value, pulumi.Output):
        depends |= {str(await resource.urn.future()) for resource in await value.resources()}
        if not await value.is_known():
            return UNKNOWN
        value = await value.future(with_unknowns=True)
    if is_rpc_secret(value):
        value = unwrap_rpc_secret(value)
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, pulumi.Resource):
        return str(await value.urn.future())
    if isinstance(value, dict):
        return {str(key): await _known(item, depends) for key, item in value.items()}
    if isinstance(value, list):
        return [await _known(item, depends) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def _urn(args: pulumi.ResourceTransformArgs) -> str:
    """Return the resource's URN, as the engine makes it of the parent's types, the type and the name."""
    parent, kinds = args.opts.parent, args.type_
    if parent is not None:
        above = str(await parent.urn.future()).split("::")
        if len(above) > _TYPES and above[_TYPES] != "pulumi:pulumi:Stack":
            kinds = f"{above[_TYPES]}${kinds}"
    return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{kinds}::{args.name}"


_TYPES = 2
"""Where in a URN's parts its types stand."""

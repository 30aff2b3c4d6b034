"""`aws.iam.OpenIdConnectProvider`: an issuer whose tokens a role may trust; its id is its ARN."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.aws.clients import Aws, tag_list, tag_map
from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.wire import Values


def _create(aws: Aws, inputs: Values) -> tuple[str, Values]:
    tags = inputs.get("tags") or {}
    optional: dict[str, Any] = {"ThumbprintList": inputs["thumbprintLists"]} if inputs.get("thumbprintLists") else {}
    arn = aws.iam.create_open_id_connect_provider(
        Url=inputs["url"], ClientIDList=inputs["clientIdLists"], Tags=tag_list(tags), **optional
    )["OpenIDConnectProviderArn"]
    return arn, {"arn": arn, "tagsAll": tags}


def _read(aws: Aws, arn: str) -> Live | None:
    try:
        found = aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    except aws.iam.exceptions.NoSuchEntityException:
        return None
    # AWS answers with the URL's host and path alone.
    url = found["Url"] if "://" in found["Url"] else f"https://{found['Url']}"
    inputs = {
        "url": url,
        "clientIdLists": found["ClientIDList"],
        "thumbprintLists": found.get("ThumbprintList") or [],
        "tags": tag_map(found.get("Tags")),
    }
    return Live(inputs, {"arn": arn, "tagsAll": inputs["tags"]})


def _delete(aws: Aws, arn: str, _state: Values) -> None:
    with suppress(aws.iam.exceptions.NoSuchEntityException):
        aws.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


OIDC_PROVIDER: Final[ResourceType[Aws]] = ResourceType(
    create=_create,
    read=_read,
    delete=_delete,
    required=frozenset({"url", "clientIdLists"}),
    # The emulator has no call that changes a provider, so here every change replaces it; AWS changes all but the URL.
    replace=frozenset({"url", "clientIdLists", "thumbprintLists", "tags"}),
    identity=frozenset({"url"}),
    computed=frozenset({"arn", "tagsAll"}),
    known=frozenset({"url", "clientIdLists", "thumbprintLists", "tags"}),
    unordered=frozenset({"clientIdLists"}),
    only_if_set=frozenset({"thumbprintLists"}),  # AWS finds out by itself
)

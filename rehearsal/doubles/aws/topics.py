"""SNS's resources: a topic, its policy, and who is subscribed to it; ids are ARNs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rehearsal.doubles.aws.clients import Aws, tag_list, tag_map
from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.wire import Values


def _create(aws: Aws, inputs: Values) -> tuple[str, Values]:
    tags = inputs.get("tags") or {}
    arn = aws.client("sns").create_topic(Name=inputs["name"], Tags=tag_list(tags))["TopicArn"]
    return arn, {**_update(aws, arn, {}, {**inputs, "tags": tags}), "arn": arn}


def _attributes(aws: Aws, arn: str) -> dict[str, str] | None:
    sns = aws.client("sns")
    try:
        found: dict[str, str] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    except sns.exceptions.NotFoundException:
        return None
    return found


def _read(aws: Aws, arn: str) -> Live | None:
    found = _attributes(aws, arn)
    if found is None:
        return None
    tags = tag_map(aws.client("sns").list_tags_for_resource(ResourceArn=arn).get("Tags"))
    inputs = {"name": arn.rsplit(":", 1)[-1], "kmsMasterKeyId": found.get("KmsMasterKeyId"), "tags": tags}
    return Live(inputs, {"arn": arn, "tagsAll": tags})


def _update(aws: Aws, arn: str, old: Values, new: Values) -> Values:
    sns, tags = aws.client("sns"), new.get("tags") or {}
    key = new.get("kmsMasterKeyId") or ""
    if key != (old.get("kmsMasterKeyId") or ""):
        sns.set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=key)
    if gone := set(old.get("tags") or ()) - tags.keys():
        sns.untag_resource(ResourceArn=arn, TagKeys=sorted(gone))
    if old and tags:
        sns.tag_resource(ResourceArn=arn, Tags=tag_list(tags))
    return {"tagsAll": tags}


def _delete(aws: Aws, arn: str, _state: Values) -> None:
    with suppress(aws.client("sns").exceptions.NotFoundException):
        aws.client("sns").delete_topic(TopicArn=arn)


TOPIC: Final[ResourceType[Aws]] = ResourceType(
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    replace=frozenset({"name"}),
    identity=frozenset({"name"}),
    computed=frozenset({"arn", "tagsAll"}),
    known=frozenset({"name", "kmsMasterKeyId", "tags"}),
    named_by="name",
)


def _put_policy(aws: Aws, arn: str, _old: Values, new: Values) -> Values:
    aws.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=new["policy"])
    return {}


def _create_policy(aws: Aws, inputs: Values) -> tuple[str, Values]:
    return inputs["arn"], _put_policy(aws, inputs["arn"], {}, inputs)


def _read_policy(aws: Aws, arn: str) -> Live | None:
    found = _attributes(aws, arn)
    return Live({"arn": arn, "policy": found["Policy"]}) if found and found.get("Policy") else None


def _leave_policy(_aws: Aws, _arn: str, _state: Values) -> None:
    """Leave it: a topic is never without a policy, so that goes with the topic."""


TOPIC_POLICY: Final[ResourceType[Aws]] = ResourceType(
    create=_create_policy,
    read=_read_policy,
    update=_put_policy,
    delete=_leave_policy,
    required=frozenset({"arn", "policy"}),
    replace=frozenset({"arn"}),
    identity=frozenset({"arn"}),
    documents=frozenset({"policy"}),
    known=frozenset({"arn", "policy"}),
)


def _subscribe(aws: Aws, inputs: Values) -> tuple[str, Values]:
    made = aws.client("sns").subscribe(
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return made, {"arn": made}


def _read_subscription(aws: Aws, arn: str) -> Live | None:
    sns = aws.client("sns")
    try:
        found = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    except sns.exceptions.NotFoundException:
        return None
    inputs = {"topic": found["TopicArn"], "protocol": found["Protocol"], "endpoint": found["Endpoint"]}
    return Live(inputs, {"arn": arn})


def _unsubscribe(aws: Aws, arn: str, _state: Values) -> None:
    with suppress(aws.client("sns").exceptions.NotFoundException):
        aws.client("sns").unsubscribe(SubscriptionArn=arn)


_SUBSCRIPTION: Final = frozenset({"topic", "protocol", "endpoint"})
SUBSCRIPTION: Final[ResourceType[Aws]] = ResourceType(
    create=_subscribe,
    read=_read_subscription,
    delete=_unsubscribe,
    required=_SUBSCRIPTION,
    replace=_SUBSCRIPTION,
    identity=_SUBSCRIPTION,
    computed=frozenset({"arn"}),
    known=_SUBSCRIPTION,
)

"""`aws.s3.Bucket`, and what the SDK makes resources of their own: its settings, one table row each.

A bucket's settings are one document that is put, read and deleted by the bucket's name, which is also the id.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions

from rehearsal.doubles.aws.clients import Aws, tag_list, tag_map
from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable

    from rehearsal.doubles.wire import Values

# What S3 answers where there is no bucket, or none of what was asked for
GONE: Final = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchTagSet",
        "ObjectLockConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)


def ask(call: Callable[..., Any], bucket: str, **parameters: Any) -> dict[str, Any] | None:  # noqa: ANN401 -- the API's own
    """Return what the API answers about `bucket`, or None where it is gone."""
    try:
        answer: dict[str, Any] = call(Bucket=bucket, **parameters)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            return None
        raise
    return answer


def setting(
    name: str,
    put: Callable[[Values], dict[str, Any]],
    read: Callable[[dict[str, Any]], Values | None],
    *properties: str,
    delete: bool = True,
    documents: frozenset[str] = frozenset(),
) -> ResourceType[Aws]:
    """Return the type of one of a bucket's settings: the API's `put_`, `get_` and `delete_` of `name`.

    `put` makes the parameters of the inputs, `read` the inputs of an answer, or None where it says that nothing is set.
    """

    def update(aws: Aws, bucket: str, _old: Values, new: Values) -> Values:
        getattr(aws.client("s3"), f"put_{name}")(Bucket=bucket, **put(new))
        return {}

    def create(aws: Aws, inputs: Values) -> tuple[str, Values]:
        return inputs["bucket"], update(aws, inputs["bucket"], {}, inputs)

    def look(aws: Aws, bucket: str) -> Live | None:
        answer = ask(getattr(aws.client("s3"), f"get_{name}"), bucket)
        inputs = None if answer is None else read(answer)
        return None if inputs is None else Live({"bucket": bucket, **inputs})

    def remove(aws: Aws, bucket: str, _state: Values) -> None:
        if delete:  # else it can't be taken away: the bucket goes with it
            ask(getattr(aws.client("s3"), f"delete_{name.removesuffix('_configuration')}"), bucket)

    return ResourceType(
        create=create,
        read=look,
        update=update,
        delete=remove,
        required=frozenset({"bucket"}),
        replace=frozenset({"bucket"}),
        identity=frozenset({"bucket"}),
        known=frozenset({"bucket", *properties}),
        documents=documents,
    )


_BLOCKS: Final = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}
PUBLIC_ACCESS_BLOCK: Final = setting(
    "public_access_block",
    lambda new: {"PublicAccessBlockConfiguration": {api: bool(new.get(name)) for name, api in _BLOCKS.items()}},
    lambda answer: {name: answer["PublicAccessBlockConfiguration"].get(api) for name, api in _BLOCKS.items()},
    *_BLOCKS,
)
POLICY: Final = setting(
    "bucket_policy",
    lambda new: {"Policy": new["policy"]},
    lambda answer: {"policy": answer["Policy"]},
    "policy",
    documents=frozenset({"policy"}),
)
VERSIONING: Final = setting(
    "bucket_versioning",
    lambda new: {"VersioningConfiguration": {"Status": new["versioningConfiguration"]["status"]}},
    lambda answer: {"versioningConfiguration": {"status": answer["Status"]}} if answer.get("Status") else None,
    "versioningConfiguration",
    delete=False,
)


def _put_encryption(new: Values) -> dict[str, Any]:
    rules = []
    for rule in new["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        chosen = {"SSEAlgorithm": default["sseAlgorithm"], "KMSMasterKeyID": default.get("kmsMasterKeyId")}
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": {key: value for key, value in chosen.items() if value},
                "BucketKeyEnabled": bool(rule.get("bucketKeyEnabled")),
            }
        )
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def _read_encryption(answer: dict[str, Any]) -> Values:
    rules = []
    for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
        default = rule["ApplyServerSideEncryptionByDefault"]
        chosen = {"sseAlgorithm": default["SSEAlgorithm"], "kmsMasterKeyId": default.get("KMSMasterKeyID")}
        rules.append(
            {
                "applyServerSideEncryptionByDefault": {key: value for key, value in chosen.items() if value},
                "bucketKeyEnabled": bool(rule.get("BucketKeyEnabled")),
            }
        )
    return {"rules": rules}


ENCRYPTION: Final = setting("bucket_encryption", _put_encryption, _read_encryption, "rules")


def _put_lock(new: Values) -> dict[str, Any]:
    kept = new["rule"]["defaultRetention"]
    retention = {"Mode": kept["mode"], "Days": kept["days"]}
    return {
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    }


def _read_lock(answer: dict[str, Any]) -> Values | None:
    found = answer["ObjectLockConfiguration"]
    if "Rule" not in found:
        return None
    kept = found["Rule"]["DefaultRetention"]
    rule = {"defaultRetention": {"mode": kept["Mode"], "days": kept["Days"]}}
    return {"objectLockEnabled": found["ObjectLockEnabled"], "rule": rule}


LOCK: Final = setting("object_lock_configuration", _put_lock, _read_lock, "objectLockEnabled", "rule", delete=False)
LOGGING: Final = setting(
    "bucket_logging",
    lambda new: {
        "BucketLoggingStatus": {
            "LoggingEnabled": {"TargetBucket": new["targetBucket"], "TargetPrefix": new.get("targetPrefix") or ""}
        }
    },
    lambda answer: (
        {"targetBucket": found["TargetBucket"], "targetPrefix": found.get("TargetPrefix") or ""}
        if (found := answer.get("LoggingEnabled"))
        else None
    ),
    "targetBucket",
    "targetPrefix",
    delete=False,
)


def _create(aws: Aws, inputs: Values) -> tuple[str, Values]:
    name, s3 = inputs["bucket"], aws.client("s3")
    placed = {"CreateBucketConfiguration": {"LocationConstraint": aws.region}} if aws.region != "us-east-1" else {}
    locked = {"ObjectLockEnabledForBucket": True} if inputs.get("objectLockEnabled") else {}
    s3.create_bucket(Bucket=name, **placed, **locked)
    return name, _update(aws, name, {}, inputs)


def _update(aws: Aws, name: str, _old: Values, new: Values) -> Values:
    s3, tags = aws.client("s3"), new.get("tags") or {}
    if tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(tags)})
    else:
        ask(s3.delete_bucket_tagging, name)
    return {**_outputs(aws, name), "tagsAll": tags}


def _read(aws: Aws, name: str) -> Live | None:
    s3 = aws.client("s3")
    if ask(s3.head_bucket, name) is None:
        return None
    tags = tag_map((ask(s3.get_bucket_tagging, name) or {}).get("TagSet"))
    locked = ask(s3.get_object_lock_configuration, name) is not None
    return Live({"bucket": name, "objectLockEnabled": locked, "tags": tags}, {**_outputs(aws, name), "tagsAll": tags})


def _delete(aws: Aws, name: str, _state: Values) -> None:
    with suppress(aws.client("s3").exceptions.NoSuchBucket):
        aws.client("s3").delete_bucket(Bucket=name)


def _outputs(aws: Aws, name: str) -> Values:
    return {"arn": f"arn:{aws.partition}:s3:::{name}"}


BUCKET: Final[ResourceType[Aws]] = ResourceType(
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    replace=frozenset({"bucket", "objectLockEnabled"}),
    identity=frozenset({"bucket"}),
    computed=frozenset({"arn", "tagsAll"}),
    known=frozenset({"bucket", "objectLockEnabled", "tags"}),
    named_by="bucket",
)

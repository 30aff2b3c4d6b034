"""The functions of the double: who is calling, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.loaders import Loader
from botocore.regions import EndpointResolver

if TYPE_CHECKING:
    from rehearsal.doubles.aws.clients import Aws
    from rehearsal.doubles.wire import Values


def get_caller_identity(aws: Aws, _arguments: Values) -> Values:
    """Return the account and principal of the provider's credentials."""
    caller = aws.sts.get_caller_identity()
    return {"accountId": caller["Account"], "arn": caller["Arn"], "userId": caller["UserId"], "id": caller["Account"]}


def get_partition(aws: Aws, _arguments: Values) -> Values:
    """Return the partition of the provider's region."""
    suffix = str(EndpointResolver(Loader().load_data("endpoints")).get_partition_dns_suffix(aws.partition))
    return {
        "id": aws.partition,
        "partition": aws.partition,
        "dnsSuffix": suffix,
        "reverseDnsPrefix": ".".join(reversed(suffix.split("."))),
    }


def get_region(aws: Aws, arguments: Values) -> Values:
    """Return the asked or the provider's region."""
    region = str(arguments.get("region") or arguments.get("name") or aws.region)
    endpoint = f"ec2.{region}.{get_partition(aws, {})['dnsSuffix']}"
    return {"id": region, "name": region, "region": region, "description": region, "endpoint": endpoint}

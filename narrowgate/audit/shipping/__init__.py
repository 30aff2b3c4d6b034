"""Ships a ledger's records to where whoever writes them cannot change them: S3 with object lock, or CloudWatch Logs.

    target = parse_target("s3://acme-ledgers/dev")
    ship_ledger(path, target)            # what is new since the last time; at least once, never out of order
    fetch_ledger(target, ledger_id)      # what arrived, in its order, each record once

The shipper's identity may only put; who reads is somebody else. This room must not change a ledger.
"""

from narrowgate.audit.shipping.errors import ShippedDiffersError, ShippingError, TargetError
from narrowgate.audit.shipping.fetching import fetch_ledger
from narrowgate.audit.shipping.sending import Shipped, read_shipped_through, ship_ledger
from narrowgate.audit.shipping.targets import Target, parse_target

__all__ = [
    "Shipped",
    "ShippedDiffersError",
    "ShippingError",
    "Target",
    "TargetError",
    "fetch_ledger",
    "parse_target",
    "read_shipped_through",
    "ship_ledger",
]

"""AWS IAM: what policies allow, whether a change allows more, and a request that shows it. Offline and exact.

See docs/access-iam.md for what is decided and what is not.
"""

from narrowgate.access.iam.comparison import Comparison, Found, compare, find_request
from narrowgate.access.iam.document import parse
from narrowgate.access.iam.evaluation import DecidingStatement, Decision, Request, evaluate
from narrowgate.access.iam.policy import Policy, PolicyError, RequestError

__all__ = [
    "Comparison",
    "DecidingStatement",
    "Decision",
    "Found",
    "Policy",
    "PolicyError",
    "Request",
    "RequestError",
    "compare",
    "evaluate",
    "find_request",
    "parse",
]

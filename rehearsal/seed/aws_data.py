"""What lies in an emulated AWS account: log groups with their events, and documents of its bucket. All invented.

Events are (age in minutes, message), so that a search of the last hour finds some; documents are text by key.
"""

from __future__ import annotations

LOG_EVENTS: dict[str, tuple[tuple[int, str], ...]] = {
    "/app/payments": (
        (58, "INFO release 2026.47 is live"),
        (47, "WARN provider latency p99=2100ms"),
        (33, "ERROR POST /pay order=771204 timed out after 9000ms"),
        (21, "ERROR POST /pay order=771239 timed out after 9000ms"),
        (4, "ERROR refund worker: AccessDenied on queue refunds"),
    ),
    "/app/checkout": (
        (52, "INFO 6 pods ready"),
        (26, "ERROR pod checkout-5c7 exits: TAX_SERVICE_URL is not set"),
        (25, "ERROR pod checkout-9fd exits: TAX_SERVICE_URL is not set"),
        (9, "WARN 502 for 3.1% of requests"),
    ),
    "/app/identity": (
        (40, "INFO password reset requested user=dana.whitfield@prairie-outfitters.example"),
        (12, "WARN 14 failed logins from 203.0.113.77"),
    ),
}
"""No workflow of the demo is granted `/app/identity`."""

DOCUMENTS: dict[str, str] = {
    "runbooks/payments-timeouts.md": "# Payment timeouts\n1. Compare p99 with the provider's page.\n2. Roll back\n",
    "runbooks/refund-queue.md": "# Refund queue\nRestart the worker after a rotation.\n",
    "vendors/onboarding-checklist.md": "# Vendor onboarding\n- trade register extract\n- tax number\n",
    "vendors/nordlicht/trade-register.txt": "Nordlicht Verpackungen GmbH, HRB 000000, Hamburg\n",
    "finance/payroll-2026-11.csv": "employee,iban,amount\nE-1042,DE00 0000 0000 0000 0000 00,4870.00\n",
}
"""No workflow of the demo is granted `finance/`."""

"""What each backend brings to the gate: the credentials of an action, and how an executor uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from narrowgate.compile.documents import Json, Minted

# What the executor reads the target by; it is fetched anew when it ends.
READER_SECONDS: Final = 900
# The asking, the end of the token, and one for the lease: then a replayed unwrap is refused by Vault.
LEASED_USES: Final = 3


@dataclass(frozen=True, slots=True)
class GatedCredentials:
    """The credentials of one gated action: what mints them, and the executor's own read (None: it reads nothing).

    `call` and `connection` are what its handler is told; both stand in the gate's description. The credentials live for
    `seconds`, and the token of one request serves `uses` requests.
    """

    minted: Minted
    reader: Minted | None
    call: Json
    connection: Json
    seconds: int
    uses: int = LEASED_USES

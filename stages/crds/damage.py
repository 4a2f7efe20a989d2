"""Corrupt references that this process has met, for whoever tells of them."""

import msgspec


class Damaged(msgspec.Struct, frozen=True):
    """A corrupt reference; good_at : when it was last known to be well; mended : fetched again."""

    name: str
    reason: str
    good_at: float
    mended: bool


#: by their names
met: dict[str, Damaged] = {}


def meet(name: str, reason: str, good_at: float, *, mended: bool = False) -> None:
    met[name] = Damaged(name, reason, good_at, mended)

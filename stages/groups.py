"""Which images are of one exposure: all detectors of it form one group."""

from __future__ import annotations

from collections.abc import Sequence

from calwebbd.stages.exposure import Exposure
from calwebbd.stages.names import group_id

GROUP_ID = "meta.group_id"  #: in the metadata of an exposure: overrides what its keywords say


def groups(exposures: Sequence[Exposure]) -> dict[str, list[int]]:
    """Indices of the exposures by group, groups in the order in which they first appear.

    An exposure without the keywords, and without a group of its own, is a group by itself.
    Source: specification products §2.
    """
    found: dict[str, list[int]] = {}
    for index, exposure in enumerate(exposures):
        name = exposure.metadata.get(GROUP_ID) or group_id(exposure.header) or f"exposure{index + 1:04d}"
        found.setdefault(str(name), []).append(index)
    return found

"""Superstripes treated one by one, as exposures of their own.

Integration i of the file is of superstripe i modulo their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar, cast

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Exposure, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.stripes import window

Function = TypeVar("Function", bound=Callable[..., Any])


def superstripes(ramp: Ramp) -> Iterator[Ramp]:
    """Each superstripe as a ramp of its own, whose arrays are views; any other ramp as it is.

    Raises InputError if the integrations are not a multiple of the superstripes.
    """
    if not ramp.by_superstripe:
        yield ramp
        return
    number = len(ramp.pixeldq)
    if len(ramp.sci) % number:
        raise InputError(f"its {len(ramp.sci)} integrations are not of {number} superstripes each")
    for k in range(number):
        yield replace(
            ramp,
            sci=ramp.sci[k::number],
            groupdq=ramp.groupdq[k::number],
            pixeldq=ramp.pixeldq[k],
            zeroframe=None if ramp.zeroframe is None else ramp.zeroframe[k::number],
            superstripe=k,
        )


def each_superstripe(function: Function) -> Function:
    """Let a step that changes a ramp in place treat superstripes one by one, each with its references."""

    @wraps(function)
    def each(exposure: Exposure, references: References, params: Any) -> Exposure:
        if not (isinstance(exposure, Ramp) and exposure.by_superstripe):
            return cast(Exposure, function(exposure, references, params))
        for part in superstripes(exposure):
            function(part, references.within(window(part)), params)
        return exposure

    return cast(Function, each)

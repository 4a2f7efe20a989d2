"""Ramps that are too long for memory: taken through steps a few integrations at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from calwebbd.stages.exposure import Ramp
from calwebbd.stages.scratch import Cube, at_once
from calwebbd.stages.step import Step


def together(steps: Iterable[Step], ramp: Ramp, *, apart: bool) -> Iterator[list[Step]]:
    """Runs of steps that may see a few integrations at a time; a step that must have all is one by itself.

    apart : make no runs of several
    """
    some: list[Step] = []
    for step in steps:
        whole = step.whole(ramp)
        if some and (whole or apart):
            yield some
            some = []
        if whole:
            yield [step]
        else:
            some.append(step)
    if some:
        yield some


def in_parts(apply: Callable[[Ramp], Ramp], ramp: Ramp) -> Ramp:
    """The ramp after `apply`, to a part after the other.

    Each part begins with the same flags of pixels; in the end these are those of all parts.
    """
    nints = len(ramp.sci)
    each = at_once(nints, ramp.sci)
    done = ramp
    for start in range(0, nints, each):
        part = apply(ramp.part(start, min(start + each, nints)))
        if start:
            part.pixeldq |= done.pixeldq
        done = _put(part, start, done)
    return done


def _put(part: Ramp, start: int, into: Ramp) -> Ramp:
    """The ramp with this part: in the cubes there are, or new ones where its shape has changed."""
    cubes: dict[str, Any] = {}
    for name in Ramp.CUBES:
        planes, cube = getattr(part, name), getattr(into, name)
        if planes is not None:
            if cube.shape[1:] != planes.shape[1:]:
                cube = Cube((len(cube), *planes.shape[1:]), planes.dtype)
            cube.write(start, planes)
        cubes[name] = None if planes is None else cube
    return replace(part, first=into.first, **cubes)

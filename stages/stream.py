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
    Superstripes of one integration stay together, so that they may be put side by side.
    """
    nints = len(ramp.sci)
    turns = len(ramp.pixeldq) if ramp.by_superstripe else 1
    each = max(1, at_once(nints, ramp.sci) // turns) * turns
    rooms = ramp.rooms(min(each, nints))
    done = ramp
    for start in range(0, nints, each):
        stop = min(start + each, nints)
        part = apply(ramp.part(start, stop, rooms))
        if start:
            part.pixeldq |= done.pixeldq
        made_of = (stop - start) // len(part.sci)
        done = _put(part, start // made_of, nints // made_of, done)
        del part  # what steps made anew goes before the next is read
    return done


def _put(part: Ramp, start: int, nints: int, into: Ramp) -> Ramp:
    """The ramp with this part: in the cubes there are, or new ones where their shape has changed."""
    cubes: dict[str, Any] = {}
    for name in Ramp.CUBES:
        planes, cube = getattr(part, name), getattr(into, name)
        if planes is not None:
            shape = (nints, *planes.shape[1:])
            if cube.shape != shape:
                cube = Cube(shape, planes.dtype)
            cube.write(start, planes)
        cubes[name] = None if planes is None else cube
    between = part.between  # steps do the same to that of each part
    if between and into.between:
        between = replace(between, first=into.between.first)
    return replace(part, first=into.first, between=between, **cubes)

"""What ``process --explain`` prints."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calwebbd.stages.explain import Plan, Planned


def show(plans: Sequence[Plan], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([dataclasses.asdict(plan) for plan in plans], indent=2, default=str))
        return
    for plan in plans:
        print(f"{plan.product}: {plan.pipeline}, {plan.context}")
        for line in settings(plan.parameters):
            print(line)
        for step in plan.steps:
            print("\n".join(lines(step)))


def lines(step: Planned) -> list[str]:
    """A step with its references, and below it its parameters with where they come from."""
    head = f"  {step.name}" + (f": not run, {step.skip}" if step.skip else "")
    files = [f"      {kind}: {file}" for kind, file in step.references.items()]
    return [head, *files, *settings(step.parameters)]


def settings(parameters: Mapping[str, Any]) -> list[str]:
    return [
        f"      {name} = {value}  ({origin})"
        for name, (value, origin) in parameters.items()
        if name != "skip"
    ]

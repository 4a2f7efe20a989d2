"""Plug-ins for whole programs: all products of a kind make a group, and that makes a job of their pipeline.

A program is never known to be complete. Its group goes on when nothing has joined it for long and
nothing of the program is in the queue; whoever comes later makes a new version.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from calwebbd.daemon.records import Known
from calwebbd.queues.groups import Group
from calwebbd.stages import plugins
from calwebbd.stages.associations import Association, Member, Product, asn_file_name

#: what is said of the members that nobody has announced
OPEN_END = "more of the program may come"


class Key(msgspec.Struct, frozen=True):
    """The payload of a group: whose products, and for which pipeline."""

    pipeline: str
    program: str

    @property
    def product(self) -> str:
        return f"jw{self.program}-{self.pipeline}"

    @property
    def group(self) -> str:
        return f"{self.pipeline}:{self.product}"


def keys(known: Known) -> Iterator[Key]:
    """Of the groups that a file belongs to; what they make themselves belongs to none of its own."""
    program = str(known.header.get("PROGRAM", ""))
    for name, pipeline in plugins.programs().items():
        key = Key(name, program.zfill(5))
        own = known.path.name.startswith(f"{key.product}_")
        if program and known.kind in pipeline.reads and not own:
            yield key


def key_of(group: Group) -> Key | None:
    """None for a group of another kind."""
    if group.name.partition(":")[0] not in plugins.programs():
        return None
    return msgspec.json.decode(group.payload, type=Key)


def association(key: Key, group: Group) -> tuple[Association, str]:
    """That of all who have come, and the name of its file."""
    again = f"v{group.version + 1:03d}" if group.version else None
    members = tuple(Member(Path(m.name).name, "science") for m in group.satisfied)
    asn = Association(
        asn_type=key.pipeline,
        asn_rule=f"all of program {key.program}",
        version_id=again,
        program=key.program,
        products=(Product(key.product, members),),
    )
    return asn, asn_file_name(asn)

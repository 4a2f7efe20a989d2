"""By what reference files are chosen, and the cache that holds them with these rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from calwebbd.stages.simulate import mappings, references
from calwebbd.stages.simulate.modes import exp_types
from calwebbd.stages.simulate.parameters import SETS, StepParameters, write_parameters
from calwebbd.stages.simulate.reproducible import settle

DETECTOR, FILTER, PUPIL = "META.INSTRUMENT.DETECTOR", "META.INSTRUMENT.FILTER", "META.INSTRUMENT.PUPIL"
CHANNEL, MODULE = "META.INSTRUMENT.CHANNEL", "META.INSTRUMENT.MODULE"
EXP_TYPE, READPATT, SUBARRAY = "META.EXPOSURE.TYPE", "META.EXPOSURE.READPATT", "META.SUBARRAY.NAME"
PLACE: Final = tuple(f"META.SUBARRAY.{name}" for name in ("XSTART", "YSTART", "XSIZE", "YSIZE"))

Keys = Mapping[str, tuple[str, ...]]

PIXELS: Final[Keys] = {
    "mask": (DETECTOR, SUBARRAY),
    "saturation": (DETECTOR, SUBARRAY),
    "linearity": (DETECTOR, SUBARRAY),
    "gain": (DETECTOR, SUBARRAY),
    "readnoise": (DETECTOR, READPATT, SUBARRAY),
    "dark": (DETECTOR, READPATT, SUBARRAY),
    "ipc": (DETECTOR,),
}
NEAR_INFRARED: Final[Keys] = {**PIXELS, "superbias": (DETECTOR, READPATT, SUBARRAY)}
FLAT: Final[Keys] = {"flat": (DETECTOR, FILTER, PUPIL, SUBARRAY)}
SIDES: Final[Keys] = {"sirskernel": ()}
IMAGES: Final[Keys] = {
    "area": (DETECTOR, FILTER, PUPIL),
    "photom": (DETECTOR, EXP_TYPE),
    "distortion": (EXP_TYPE, DETECTOR),
    "apcorr": (EXP_TYPE,),
    "abvegaoffset": (),
}
OFFSET: Final[Keys] = {"filteroffset": (DETECTOR,)}

#: By what each reference type is chosen; an instrument has no other types.
PARKEYS: Final[dict[str, Keys]] = {
    "NIRCAM": {
        **NEAR_INFRARED, **FLAT, **SIDES, **IMAGES,
        "dark": (EXP_TYPE, DETECTOR, SUBARRAY),
        "distortion": (EXP_TYPE, DETECTOR, CHANNEL),
        "filteroffset": (CHANNEL, MODULE),
    },
    "NIRSPEC": {
        **NEAR_INFRARED, **SIDES,
        "mask": (DETECTOR, READPATT, SUBARRAY),
        "superbias": (DETECTOR, READPATT, SUBARRAY, *PLACE),
        "dark": (DETECTOR, READPATT, SUBARRAY, *PLACE),
        "refpix": (DETECTOR, READPATT),
        "pictureframe": (DETECTOR,),
    },
    "NIRISS": {**NEAR_INFRARED, **FLAT, **SIDES, **IMAGES, **OFFSET},
    "FGS": {**NEAR_INFRARED, **FLAT, **IMAGES},
    "MIRI": {
        **PIXELS, **FLAT, **IMAGES, **OFFSET,
        "reset": (DETECTOR, READPATT, SUBARRAY),
        "rscd": (DETECTOR,),
        "emicorr": (),
    },
}  # fmt: skip
CONTEXT = "jwst_0002.pmap"  #: operational


class Writer:
    """Saves references under CRDS names and remembers by what each is to be chosen."""

    def __init__(self, directory: Path) -> None:
        self.references = directory / "references" / "jwst"
        self.mappings = directory / "mappings" / "jwst"
        self.config = directory / "config" / "jwst"
        for folder in (self.references, self.mappings, self.config):
            folder.mkdir(parents=True, exist_ok=True)
        #: files by match values, by reference type, by instrument
        self.rules: dict[str, dict[str, dict[tuple[str, ...], str]]] = {}
        self.count: dict[tuple[str, str], int] = {}

    def path(self, instrument: str, reftype: str, match: tuple[str, ...], suffix: str) -> Path:
        """The next name of that type, noted under its match values."""
        serial = self.count[instrument, reftype] = self.count.get((instrument, reftype), 0) + 1
        name = f"jwst_{instrument.lower()}_{reftype}_{serial:04d}{suffix}"
        self.note(instrument, reftype, match, name)
        folder = self.references / instrument.lower()
        folder.mkdir(exist_ok=True)
        return folder / name

    def note(self, instrument: str, reftype: str, match: tuple[str, ...], name: str) -> None:
        """Have this file, or N/A, chosen under these match values."""
        self.rules.setdefault(instrument, {}).setdefault(reftype, {})[match] = name

    def add(
        self, instrument: str, reftype: str, reference: Any, values: Mapping[str, str], suffix: str = ".fits"
    ) -> None:
        """Save a data model; keys missing in `values` match anything."""
        match = tuple(values.get(key, "N/A") for key in PARKEYS[instrument][reftype])
        references.describe(reference, instrument, reftype, values.get(DETECTOR))
        path = self.path(instrument, reftype, match, suffix)
        reference.save(str(path))
        reference.close()
        if suffix == ".asdf":
            settle(path)

    def write_rules(self) -> None:
        """Write rmaps, and a context for each set of parameters."""
        science = {instrument: tuple(found) for instrument, found in self.rules.items()}
        for instrument, found in self.rules.items():
            for reftype, files in found.items():
                self._rmap(instrument, reftype, 1, PARKEYS[instrument][reftype], files)
        for serial, steps in SETS.items():
            imaps = {
                instrument: self._imap(instrument, serial, science[instrument], steps)
                for instrument in science
            }
            mappings.write_pmap(self.mappings / f"jwst_{serial:04d}.pmap", imaps)
        names = [path.name for path in self.mappings.iterdir()]
        mappings.write_server_config(self.config, CONTEXT, names)

    def _imap(
        self, instrument: str, serial: int, science: Sequence[str], steps: Sequence[StepParameters]
    ) -> str:
        """The instrument's rules of a context: those of science references, and its parameters."""
        rmaps = {reftype: f"jwst_{instrument.lower()}_{reftype}_0001.rmap" for reftype in science}
        for step in steps:
            if instrument in step.instruments:
                types = (exp_types(instrument),)
                path = self.path(instrument, step.reftype, types, ".asdf")
                write_parameters(path, instrument, step)
                name = self._rmap(instrument, step.reftype, serial, (EXP_TYPE,), {types: path.name})
                rmaps[step.reftype] = name
        imap = f"jwst_{instrument.lower()}_{serial:04d}.imap"
        mappings.write_imap(self.mappings / imap, instrument, rmaps)
        return imap

    def _rmap(
        self,
        instrument: str,
        reftype: str,
        serial: int,
        parkeys: Sequence[str],
        files: Mapping[tuple[str, ...], str],
    ) -> str:
        name = f"jwst_{instrument.lower()}_{reftype}_{serial:04d}.rmap"
        mappings.write_rmap(self.mappings / name, instrument, reftype, parkeys, files)
        return name

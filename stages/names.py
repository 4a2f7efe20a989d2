"""The names of JWST files: read them, check them, make them.

Exposures: ``jwPPPPPOOOVVV_GGSAA_EEEEE[-segNNN]_detector_suffix.fits``; stage 3:
``jwPPPPP-oNNN_tTTT_instrument_optics[-subarray]_suffix.fits``. The fields are those of
the JWST documentation, "File naming conventions"; everything is lower case.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from calwebbd.stages.header import Header, integer, text

#: what an output may replace at the end of a file name: the suffixes of products …
PRODUCTS = frozenset(
    {"uncal", "ramp", "dark", "rate", "rateints", "bsub", "bsubints", "cal", "calints", "crf", "crfints"}
    | {
        "i2d",
        "s2d",
        "s3d",
        "x1d",
        "x1dints",
        "c1d",
        "cat",
        "phot",
        "whtlt",
        "snr",
        "mbsub",
        "wfscmb",
        "members",
    }
    | {"psfstack", "psfalign", "psfsub", "ami", "ami-oi", "aminorm", "aminorm-oi", "median", "blot"}
    | {"members", "residual_fringe"}
)
#: … and of intermediate results, which carry the name of their step or the class of it
_STEPS = """
adaptive_trace_model align_refs ami_analyze ami_normalize assign_mtwcs assign_wcs bkg_subtract
clean_flicker_noise combine_1d cube_build dark_current dq_init emicorr engdblog extract_1d extract_2d
firstframe flat_field fringe gain_scale group_scale guider_cds hlsp imprint ipc jump klip lastframe
linearity master_background outlier_detection pathloss persistence photom picture_frame ramp_fit refpix
resample resample_spec reset rscd saturation skymatch source_catalog spec2nrslamp spectral_leak srctype
stackrefs straylight superbias targ_centroid tweakreg wfscombine white_light
"""
_CLASSES = "[a-z0-9]+(?:step|pipeline)"
TABLES = frozenset({"cat", "members", "phot", "whtlt"})  #: written as ECSV
EXTENSIONS = frozenset({".fits", ".ecsv", ".asdf", ".json"})

_SUFFIXES = "|".join([*sorted(PRODUCTS), *_STEPS.split(), _CLASSES])
_SUFFIXED = re.compile(rf"(?P<root>.+?)(?P<separator>[_-])(?P<suffix>{_SUFFIXES})")
_EXPOSURE = re.compile(
    r"jw(?P<program>\d{5})(?P<observation>\d{3})(?P<visit>\d{3})"
    r"_(?P<group>\d\d)(?P<seq>\d)(?P<activity>[0-9a-z]{2})_(?P<exposure>\d{5})"
    r"(?:-seg(?P<segment>\d{3}))?_(?P<detector>[a-z]+\d?)"
    r"(?:_(?P<asn_id>[oacr]\d{3,4}))?_(?P<suffix>[a-z0-9][a-z0-9_-]*)"
)


@dataclass(frozen=True)
class ExposureName:
    """The name of one detector's file of an exposure; each field as it stands there."""

    program: str
    observation: str
    visit: str
    group: str  #: VISITGRP
    seq: str  #: SEQ_ID: 1 prime, 2–5 parallel
    activity: str  #: ACT_ID, base 36
    exposure: str
    detector: str
    suffix: str
    segment: str | None = None
    asn_id: str | None = None  #: of products of stage 3 by exposure, as crf

    @property
    def root(self) -> str:
        """The name without suffix: the product name of stage 2."""
        segment = f"-seg{self.segment}" if self.segment else ""
        return f"{self.group_id}{segment}_{self.detector}"

    @property
    def group_id(self) -> str:
        """What all detectors and segments of the exposure share."""
        activity = self.group + self.seq + self.activity
        return f"jw{self.program}{self.observation}{self.visit}_{activity}_{self.exposure}"

    def __str__(self) -> str:
        return "_".join(part for part in (self.root, self.asn_id, self.suffix) if part) + ".fits"


#: the fields that the header repeats, with their keyword and width
KEYWORDS = {
    "program": ("PROGRAM", 5),
    "observation": ("OBSERVTN", 3),
    "visit": ("VISIT", 3),
    "group": ("VISITGRP", 2),
    "seq": ("SEQ_ID", 1),
    "activity": ("ACT_ID", 2),
    "exposure": ("EXPOSURE", 5),
    "detector": ("DETECTOR", 0),
}


def parse(name: str) -> ExposureName | None:
    """Take an exposure's file name apart; None if it is no exposure's, as of guide stars or stage 3."""
    found = _EXPOSURE.fullmatch(name.removesuffix(".fits"))
    return ExposureName(**found.groupdict()) if found and name.endswith(".fits") else None


def exposure_name(header: Header, suffix: str) -> ExposureName:
    """The name which an exposure with this header has; a field without keyword is empty.

    The segment is named where the exposure has more than one.
    """
    fields = {field: text(header, key).lower().zfill(width) for field, (key, width) in KEYWORDS.items()}
    for field, (key, _) in KEYWORDS.items():
        if not text(header, key):
            fields[field] = ""
    segmented = (integer(header, "EXSEGTOT") or 1) > 1
    segment = f"{integer(header, 'EXSEGNUM') or 1:03d}" if segmented else None
    return ExposureName(**fields, suffix=suffix, segment=segment)


def group_id(header: Header) -> str:
    """What detectors and segments of one dithered exposure share; empty if a keyword is missing."""
    name = exposure_name(header, "")
    return name.group_id if all(getattr(name, field) for field in KEYWORDS if field != "detector") else ""


def split_suffix(name: str) -> tuple[str, str, str]:
    """Cut a file name into root, separator and suffix, without folder and extension.

    Only the last known suffix goes; where there is none the root is the whole stem and
    the suffix empty. ``_segm`` and its like are not known and stay in the root.
    """
    path = Path(name)
    stem = path.stem if path.suffix in EXTENSIONS else path.name
    if found := _SUFFIXED.fullmatch(stem):
        return found["root"], found["separator"], found["suffix"]
    return stem, "_", ""


def product_path(root: Path, suffix: str, asn_id: str | None = None) -> Path:
    """The file of a product, in the folder of `root`: an input file or a product name.

    The separator found on `root` is used again, so that guide-star files keep their hyphen.
    """
    stem, separator, _ = split_suffix(root.name)
    stem = f"{stem}_{asn_id}" if asn_id else stem
    return root.with_name(f"{stem}{separator}{suffix}{'.ecsv' if suffix in TABLES else '.fits'}")


def level3_name(program: str, acid: str, target: str, instrument: str, optics: str, subarray: str) -> str:
    """The product name of stage 3; `optics` as `level3_optics` gives them, FULL is left out."""
    subarray = "" if subarray.upper() in {"", "FULL"} else f"-{subarray}"
    return f"jw{program:0>5}-{acid}_{target}_{instrument}_{optics}{subarray}".lower()


def level3_optics(*elements: str) -> str:
    """Join filter and pupil (or grating), sorted, by a hyphen; ``clear`` if there are none."""
    return "-".join(sorted(element.lower() for element in elements if element)) or "clear"

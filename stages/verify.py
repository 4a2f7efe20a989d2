"""Check that a FITS file which has arrived is a whole, coherent JWST file.

The headers are walked by arithmetic, a few hundred bytes at the places where a cut or
unwritten file betrays itself are read besides. Which pipeline takes the file, and whether
any does, is not asked here (`exptypes.pipeline_for`).
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from calwebbd.stages import asdftail, names
from calwebbd.stages.errors import Incomplete, InputError
from calwebbd.stages.exptypes import GUIDE_STARS, exp_type, in_series, stage2
from calwebbd.stages.hdus import Hdu, walk
from calwebbd.stages.header import Header, Value, flag, integer, text

IMAGES = frozenset({"rate", "cal", "crf", "bsub"})
CUBES = frozenset({"rateints", "calints", "crfints", "bsubints"})
RAMPS = frozenset({"uncal", "ramp", "dark"})
EXPOSURES = IMAGES | CUBES | RAMPS

IDENTITY = tuple(keyword for keyword, _ in names.KEYWORDS.values())
COMMON = ("TELESCOP", "INSTRUME", "DETECTOR", "EXP_TYPE", "DATE-OBS", "TIME-OBS", "NINTS", "NGROUPS")
WINDOW = ("SUBARRAY", "SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2", "FASTAXIS", "SLOWAXIS")
READOUT = ("READPATT", "NFRAMES", "GROUPGAP", "TFRAME", "TGROUP")
POINTING = ("RA_REF", "DEC_REF", "ROLL_REF", "V2_REF", "V3_REF", "V3I_YANG", "VPARITY")
OPTICS = {"NIRCAM": ("CHANNEL", "MODULE", "FILTER", "PUPIL")}  #: by which its references are chosen

NAMING = ("PROGRAM", "OBSERVTN", "INSTRUME", "FILTER", "PUPIL", "SUBARRAY")  #: of products of stage 3

#: keywords of the file's layout, not of the exposure
LAYOUT = re.compile(r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|[PG]COUNT|BSCALE|BZERO|EXTNAME|EXTVER")

UNSIGNED = 32768  #: BZERO of uint16, which FITS stores as int16
LARGEST_ASDF = 2**28  #: bytes
PROBE = 65536  #: bytes; a tail of SCI, in which a raw zero (32768 DN) for all samples is no exposure


@dataclass(frozen=True)
class Facts:
    """What a verified file says of itself."""

    path: Path
    kind: str  #: its suffix: uncal, rate, cal, i2d, …
    header: Header  #: of the primary and SCI headers; SCI holds where both have a keyword


def verify(path: Path, *, named: bool = True) -> Facts:
    """Read the headers of a file and check its structure.

    named : whether its name has to be that in its header

    Raises
    ------
    Incomplete
        Bytes are missing or still zero: the file may be on its way.
    InputError
        It cannot be read, is no FITS file, its name or shape contradicts its header, or a
        keyword is missing. No waiting will help.
    FileNotFoundError
        It has gone.
    """
    try:
        facts = _verify(path)
        if named:
            _check_name(path.name, facts.header)
        return facts
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path.name, step="verify") from error
    except InputError as error:
        error.file, error.step = path.name, "verify"
        raise


def _verify(path: Path) -> Facts:
    with path.open("rb") as file:
        hdus = list(walk(file, os.fstat(file.fileno()).st_size))
        kind = names.split_suffix(path.name)[2]
        if kind not in names.PRODUCTS or path.suffix != ".fits":
            raise InputError("its name does not end in a JWST product suffix, as _uncal.fits")
        _check_extensions(hdus, kind)
        _check_asdf(file, hdus)
        sci = _find(hdus, "SCI")
        header = _merge(hdus[0].header, sci.header if sci else {})
        _check_naming(header)
        if kind in EXPOSURES and sci:
            _check_keywords(header)
            _check_series(hdus, header, kind)
            _check_shape(sci, header, kind)
        if kind == "uncal" and sci:
            _check_samples(file, sci)
    return Facts(path, kind, header)


def _find(hdus: list[Hdu], name: str) -> Hdu | None:
    return next((hdu for hdu in hdus if hdu.name == name), None)


def _merge(primary: Header, sci: Header) -> dict[str, Value]:
    both = {**primary, **sci}
    return {keyword: value for keyword, value in both.items() if not LAYOUT.fullmatch(keyword)}


def _check_extensions(hdus: list[Hdu], kind: str) -> None:
    """ASDF is written last: without it, the file was cut exactly between two HDUs."""
    for name in ("SCI", "ASDF") if kind in EXPOSURES | {"i2d"} else ("ASDF",):
        if _find(hdus, name) is None:
            raise Incomplete(f"ends after {hdus[-1].name}: it has no {name} extension")


def _check_asdf(file: BinaryIO, hdus: list[Hdu]) -> None:
    asdf = _find(hdus, "ASDF")
    if asdf and asdf.nbytes > LARGEST_ASDF:
        raise InputError(f"its ASDF extension has {asdf.nbytes} bytes; those of JWST are far smaller")
    if asdf and (flaw := asdftail.flaw(os.pread(file.fileno(), asdf.nbytes, asdf.start))):
        raise Incomplete(f"its ASDF extension {flaw}: the end of the file has not been written")


def _check_keywords(header: Header) -> None:
    """What the pipelines read without a default: name, shape, timing, and for images the pointing."""
    wanted: tuple[str, ...] = COMMON + WINDOW + READOUT
    if exp_type(header) not in GUIDE_STARS:
        wanted += IDENTITY + OPTICS.get(text(header, "INSTRUME").upper(), ())
    if stage2(header) == "image2":
        wanted += POINTING
    missing = [keyword for keyword in dict.fromkeys(wanted) if str(header.get(keyword, "")).strip() == ""]
    if missing:
        raise InputError(f"its header lacks {', '.join(missing)}")
    for keyword in ("NINTS", "NGROUPS", "NFRAMES", "SUBSIZE1", "SUBSIZE2", "SUBSTRT1", "SUBSTRT2"):
        if (integer(header, keyword) or 0) < 1:
            raise InputError(f"its {keyword} is {header[keyword]}, not a positive whole number")


def _check_naming(header: Header) -> None:
    """What names of products are made of must not lead out of their folder."""
    for keyword in NAMING:
        said = text(header, keyword)
        absent = keyword in NAMING[3:] and said.upper() == "N/A"  # which is no part of a name
        if "/" in said and not absent:
            raise InputError(f"its {keyword} is {said[:80]!r}, which can be no part of a file's name")


def _check_series(hdus: list[Hdu], header: Header, kind: str) -> None:
    """A time series needs its times, and a zeroth frame that the header announces must be there."""
    if kind not in {"uncal", "rateints", "calints"}:
        return
    if in_series(header) and _find(hdus, "INT_TIMES") is None:
        raise InputError(f"is a time series ({exp_type(header)}) without an INT_TIMES extension")
    if kind == "uncal" and flag(header, "ZEROFRAM") and _find(hdus, "ZEROFRAME") is None:
        raise InputError("has ZEROFRAM = T but no ZEROFRAME extension")


def _check_shape(sci: Hdu, header: Header, kind: str) -> None:
    """Compare NAXISn of SCI with integrations, groups and window.

    What telemetry brought of a guide star is not planned in its header, NRSIRS2 interleaves
    reference pixels with rows, and spectra are cut out of the window in stage 2: of these
    only the number of axes, or of planes, is known.
    """
    naxis = 4 if kind in RAMPS else 3 if kind in CUBES else 2
    guide_star = exp_type(header) in GUIDE_STARS
    if len(sci.shape) != naxis and not guide_star:
        raise InputError(f"SCI has {len(sci.shape)} axes; {kind} products have {naxis}")
    planes, keywords = _planes(header)
    shape = [(planes, keywords), (integer(header, "NGROUPS"), "NGROUPS")][: naxis - 2]
    stage1 = kind in RAMPS | {"rate", "rateints"}
    if not text(header, "READPATT").startswith("NRSIRS2") and (stage1 or stage2(header) == "image2"):
        shape += [(integer(header, key), key) for key in ("SUBSIZE2", "SUBSIZE1")]
    for axis, length, (expected, keyword) in zip(range(naxis, 0, -1), sci.shape, shape, strict=False):
        if length != expected and not guide_star:
            raise InputError(f"NAXIS{axis} of SCI is {length}, but {keyword} says {expected}")


def _planes(header: Header) -> tuple[int, str]:
    """Integrations in this file; NINTS counts those of the whole exposure."""
    first, last = integer(header, "INTSTART"), integer(header, "INTEND")
    if first and last:
        return last - first + 1, f"INTSTART … INTEND ({first} … {last})"
    return integer(header, "NINTS") or 1, "NINTS"


def _check_samples(file: BinaryIO, sci: Hdu) -> None:
    """Raw samples are uint16, and the last of them have been written.

    Float products are not probed: their last rows are reference pixels, zero by right.
    """
    bitpix, bzero = sci.header["BITPIX"], sci.header.get("BZERO", 0)
    if bitpix != 16 or bzero != UNSIGNED:
        raise InputError(f"SCI has BITPIX {bitpix} and BZERO {bzero}; raw samples have 16 and {UNSIGNED}")
    length = min(PROBE, sci.nbytes)
    if not any(os.pread(file.fileno(), length, sci.start + sci.nbytes - length)):
        raise Incomplete(f"SCI is zero in its last {length} bytes: they have not been written")


def _check_name(name: str, header: Header) -> None:
    """The name is the file's own (FILENAME), and that of the detector and segment in its header."""
    own = text(header, "FILENAME")
    if own and own != name:
        raise InputError(f"its name disagrees with FILENAME = {own}")
    found = names.parse(name)
    if found is None:
        return
    detector, segment = text(header, "DETECTOR"), integer(header, "EXSEGNUM") or 1
    if detector and detector.lower() != found.detector:
        raise InputError(f"its name disagrees with DETECTOR = {detector}")
    segmented = (integer(header, "EXSEGTOT") or 1) > 1
    if int(found.segment or segment) != segment or (segmented and not found.segment):
        raise InputError(f"its name disagrees with EXSEGNUM = {segment}")

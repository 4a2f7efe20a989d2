"""FITS files of one header: as much of an exposure as associations ask for."""

from pathlib import Path

IMAGE = {
    "PROGRAM": "01234",
    "OBSERVTN": "001",
    "EXP_TYPE": "NRC_IMAGE",
    "INSTRUME": "NIRCAM",
    "DETECTOR": "NRCA1",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "SUBARRAY": "FULL",
    "TARGNAME": "M 31",
}


def expose(folder: Path, name: str, **keywords: str) -> Path:
    """Write a file with the header of a NIRCam image."""
    header = {"SIMPLE": "T", "BITPIX": "8", "NAXIS": "0"} | {
        keyword: f"'{content}'" for keyword, content in (IMAGE | keywords).items()
    }
    cards = [f"{keyword:8s}= {content:>20s}" for keyword, content in header.items()]
    path = folder / name
    path.write_bytes("".join(card.ljust(80) for card in [*cards, "END"]).ljust(2880).encode())
    return path

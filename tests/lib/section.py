"""A part of a page that a script makes: what stands between the script's two marks."""

import platform
from pathlib import Path


def write(page: Path, script: str, text: str) -> None:
    """Put it in the place of what is there. Raises ValueError if the page has no marks of the script."""
    begin, end = f"<!-- made by {script} -->", f"<!-- end of {script} -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no place for {script}")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")


def kept(page: Path, heading: str) -> str:
    """What stands in a page from a heading on, which belongs to another script; empty if nothing does."""
    text = page.read_text() if page.exists() else ""
    _, found, rest = text.partition(f"\n{heading}\n")
    return f"{found}{rest}"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]], texts: int = 1) -> str:
    """Markdown; the first columns are text, the others are numbers."""
    lines = [f"| {' | '.join(head)} |", "|---" * texts + "|" + "--:|" * (len(head) - texts)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def machine() -> str:
    """That on which this runs."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0]}, {len(names)} cores, Python {platform.python_version()}"

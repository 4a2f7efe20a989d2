"""Read files of named SQL statements, so that every statement stands in one place."""

import re

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def statements(text: str) -> dict[str, str]:
    """Split at lines ``-- name: NAME``; what follows, up to the next, is the statement."""
    parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}

"""Footprints of the members of a mosaic on the sky."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from calwebbd.daemon.web import svg

Corners = Sequence[tuple[float, float]]  #: right ascension, declination, degrees
SIZE, PAD = 420.0, 34.0


def corners(region: str) -> list[list[tuple[float, float]]]:
    """Polygons of an S_REGION; none where it is anything else."""
    found = []
    for part in region.split("POLYGON ICRS")[1:]:
        try:
            values = [float(word) for word in part.split()]
        except ValueError:
            continue
        points = list(zip(values[::2], values[1::2], strict=False))
        if len(points) > 2 and all(math.isfinite(value) for value in values):
            found.append(points)
    return found


def draw(members: Sequence[tuple[str, Corners]], mosaic: Sequence[Corners] = ()) -> Markup | None:
    """North up, east to the left, as seen on the sky. None if nothing is known."""
    shapes = [points for _, points in members] + list(mosaic)
    if not shapes:
        return None
    centre = shapes[0][0]
    planes = [[_plane(point, centre) for point in points] for points in shapes]
    xs, ys = ([p[k] for points in planes for p in points] for k in (0, 1))
    extent = max(max(xs) - min(xs), max(ys) - min(ys)) or 1e-6
    per = (SIZE - 2 * PAD) / extent
    middle = ((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2)

    def path(points: Corners) -> str:
        places = [
            (SIZE / 2 - (x - middle[0]) * per, SIZE / 2 - (y - middle[1]) * per)
            for x, y in (_plane(point, centre) for point in points)
        ]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)

    body = ""
    for name, points in members:
        body += f'<polygon class="member" points="{path(points)}"><title>{escape(name)}</title></polygon>'
    body += "".join(f'<polygon class="whole" points="{path(points)}"/>' for points in mosaic)
    return svg.picture(body + _scale(per) + _compass(), "Footprints on the sky", (SIZE, SIZE), "plot square")


def _plane(point: tuple[float, float], centre: tuple[float, float]) -> tuple[float, float]:
    """Arcseconds to the east and north; good enough for the size of a mosaic."""
    across = (point[0] - centre[0] + 180) % 360 - 180
    return 3600 * across * math.cos(math.radians(centre[1])), 3600 * (point[1] - centre[1])


def _scale(per: float) -> str:
    length = max(svg.ticks((SIZE - 2 * PAD) / per / 3, 1)[:2])
    if length * per > 0.6 * SIZE:
        length /= 2
    told = f"{length:g}\N{DOUBLE PRIME}" if length < 120 else f"{length / 60:g}\N{PRIME}"
    y = SIZE - 12
    return svg.line(PAD, y, PAD + length * per, y, "axis") + svg.text(PAD, y - 6, told, "label")


def _compass() -> str:
    x, y = SIZE - 18, SIZE - 14
    arms = svg.line(x, y, x, y - 24, "axis") + svg.line(x, y, x - 24, y, "axis")
    return arms + svg.text(x, y - 28, "N", "label", "middle") + svg.text(x - 30, y + 4, "E", "label", "end")

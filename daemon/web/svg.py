"""Drawings without any library: text into SVG, whose colours and fonts are those of the style sheet."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 36, 26


def picture(body: str, title: str, size: tuple[float, float], kind: str = "plot") -> Markup:
    """A drawing with its title, which readers of screens read."""
    return Markup('<svg class="{}" viewBox="0 0 {:.6g} {:.6g}" role="img"><title>{}</title>{}</svg>').format(
        kind, *size, title, Markup(body)
    )


def text(x: float, y: float, words: object, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def ticks(highest: float, n: int = 4) -> list[float]:
    """Round numbers from nought to at least the highest."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / n
    power = 10.0 ** (len(f"{int(rough)}") - 1 if rough >= 1 else -_zeros(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    count = int(-(-highest // step))
    return [step * i for i in range(count + 1)]


def _zeros(value: float) -> int:
    """Places after the point to the first figure."""
    places = 0
    while value < 1:
        value *= 10
        places += 1
    return places


def bars(
    slots: Sequence[Sequence[float]], names: Sequence[str], labels: Sequence[str], title: str, unit: str
) -> Markup:
    """Stacked bars. slots : of each, the height of each series; labels : of the slots, "" for none."""
    scale = ticks(max((sum(slot) for slot in slots), default=0))
    body = _frame(scale, unit)
    pitch = (WIDTH - LEFT - RIGHT) / max(1, len(slots))
    for i, slot in enumerate(slots):
        x, base = LEFT + i * pitch, 0.0
        for k, value in enumerate(slot):
            if value:
                top, foot = _y(base + value, scale), _y(base, scale)
                body += f'<rect x="{x + 0.1 * pitch:.1f}" y="{top:.1f}" width="{0.8 * pitch:.1f}" '
                body += f'height="{foot - top:.1f}" class="series-{k + 1}">'
                body += f"<title>{escape(labels[i])} {escape(names[k])}: {value:g}</title></rect>"
                base += value
    body += _labels(labels, pitch)
    return picture(body, title, (WIDTH, HEIGHT))


def lines(series: Sequence[Sequence[float | None]], labels: Sequence[str], title: str, unit: str) -> Markup:
    """Lines over slots; None is a gap, and a value alone between gaps a point."""
    scale = ticks(max((v for each in series for v in each if v is not None), default=0))
    body = _frame(scale, unit)
    pitch = (WIDTH - LEFT - RIGHT) / max(1, len(labels))
    for k, values in enumerate(series):
        points = [(LEFT + (i + 0.5) * pitch, _y(v, scale)) for i, v in enumerate(values) if v is not None]
        known = [i for i, v in enumerate(values) if v is not None]
        path = ""
        for (x, y), i in zip(points, known, strict=True):
            path += f"{'L' if i - 1 in known else 'M'}{x:.1f} {y:.1f}"
            body += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="series-{k + 1}">'
            body += f"<title>{escape(labels[i])}: {values[i]:.3g} {escape(unit)}</title></circle>"
        body += f'<path d="{path}" class="curve-{k + 1}"/>' if path else ""
    body += _labels(labels, pitch)
    return picture(body, title, (WIDTH, HEIGHT))


def scatter(
    points: Iterable[tuple[float, float, str]], title: str, unit: str, names: tuple[str, str]
) -> Markup:
    """Points about the origin, to the same scale in both directions, with rings at round distances."""
    found = list(points)
    size, middle = 320.0, 160.0
    scale = ticks(max((max(abs(x), abs(y)) for x, y, _ in found), default=0) * 1.05, 3)
    per = (middle - 26) / scale[-1]
    body = line(14, middle, size - 14, middle, "axis") + line(middle, 14, middle, size - 14, "axis")
    for value in scale[1:]:
        body += f'<circle cx="{middle}" cy="{middle}" r="{value * per:.1f}" class="ring"/>'
        body += text(middle + 3, middle - value * per - 3, f"{value:g}", "label")
    for x, y, name in found:
        body += f'<circle cx="{middle - x * per:.1f}" cy="{middle - y * per:.1f}" r="5" class="dot">'
        body += f"<title>{escape(name)}: {x:.2f}, {y:.2f} {escape(unit)}</title></circle>"
    body += text(14, middle - 6, f"+{names[0]}", "label") + text(
        middle + 6, 12, f"+{names[1]}, {unit}", "label"
    )
    return picture(body, title, (size, size), "plot square")


def _y(value: float, scale: Sequence[float]) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / scale[-1]


def _frame(scale: Sequence[float], unit: str) -> str:
    body = ""
    for value in scale:
        y = _y(value, scale)
        body += line(LEFT, y, WIDTH - RIGHT, y, "grid" if value else "axis")
        body += text(LEFT - 6, y + 4, f"{value:g}", "label", "end")
    return body + text(0, 14, unit, "unit")


def _labels(labels: Sequence[str], pitch: float) -> str:
    """As many as there is room for."""
    every = max(1, -(-len(labels) // 6))
    return "".join(
        text(LEFT + (i + 0.5) * pitch, HEIGHT - 8, label, "label", "middle")
        for i, label in enumerate(labels)
        if i % every == every // 2
    )

"""The graph of how a product came to be: raw exposures on the left, the product on the right."""

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from calwebbd.daemon.web import svg
from calwebbd.daemon.web.show import clean, href

SHOWN = 12  #: inputs of one product; the others are counted
LONGEST = 34  #: characters that fit into a box
BOX, GAP, ROW, PAD = (236, 46), 42, 60, 5


@dataclass
class Node:
    """column : pipelines between it and the product; hidden : how many others it stands for"""

    key: str
    name: str
    kind: str
    column: int
    by: str = ""
    references: int = 0
    hidden: int = 0
    row: float = 0.0
    inputs: list["Node"] = field(default_factory=list)


def graph(answer: dict[str, Any]) -> list[Node]:
    """Each file once, the product first; from an answer of `Ask.lineage`."""
    nodes: dict[str, Node] = {}
    _grow(answer, 0, nodes)
    rows: dict[int, int] = {}
    for node in sorted(nodes.values(), key=lambda each: each.column):
        node.row = rows.get(node.column, 0)
        rows[node.column] = int(node.row) + 1
    tallest = max(rows.values())
    for node in nodes.values():  # the middle of each column on one line
        node.row += (tallest - rows[node.column]) / 2
    return list(nodes.values())


def _grow(answer: dict[str, Any], column: int, nodes: dict[str, Node]) -> Node:
    key = answer["sha256"]
    node = nodes.get(key)
    if node is None:
        node = nodes[key] = Node(key, clean(answer.get("name") or ""), answer.get("kind") or "", column)
    node.column = max(node.column, column)
    made = answer.get("made_by")
    if made:
        node.by, node.references = made["pipeline"], len(made["references"])
    inputs = answer.get("inputs", [])
    for each in inputs[:SHOWN]:
        node.inputs.append(_grow(each, column + 1, nodes))
    if len(inputs) > SHOWN:
        more = Node(f"{key} more", "", "", column + 1, hidden=len(inputs) - SHOWN)
        nodes[more.key] = more
        node.inputs.append(more)
    return node


def draw(answer: dict[str, Any]) -> Markup:
    """As SVG; each box leads to the page of its file."""
    nodes = graph(answer)
    columns = max(node.column for node in nodes)
    rows = max(node.row for node in nodes) + 1
    width, height = columns * (BOX[0] + GAP) + BOX[0] + 2 * PAD, rows * ROW + 2 * PAD
    places = {
        n.key: (PAD + (columns - n.column) * (BOX[0] + GAP), PAD + n.row * ROW + (ROW - BOX[1]) / 2)
        for n in nodes
    }
    body = "".join(
        _edge(places[source.key], places[node.key], node) for node in nodes for source in node.inputs
    )
    body += "".join(_box(node, *places[node.key]) for node in nodes)
    drawn = svg.picture(body, f"How {clean(answer.get('name'))} came to be", (width, height), "lineage")
    return drawn.replace("<svg ", Markup('<svg width="{:.0f}" height="{:.0f}" ').format(width, height), 1)


def _edge(source: tuple[float, float], target: tuple[float, float], node: Node) -> str:
    x1, y1 = source[0] + BOX[0], source[1] + BOX[1] / 2
    x2, y2 = target[0], target[1] + BOX[1] / 2
    bend = (x1 + x2) / 2
    return f'<path class="edge" d="M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}"/>'


def _box(node: Node, x: float, y: float) -> str:
    if node.hidden:
        return svg.text(x + BOX[0] / 2, y + 28, f"… and {node.hidden} more", "label", "middle")
    told = f"{node.by}, {node.references} references" if node.by else "as it came"
    stem = node.name.partition(".")[0].removesuffix(f"_{node.kind}") or node.name
    short = stem if len(stem) <= LONGEST else f"{stem[: LONGEST // 2]}…{stem[1 - LONGEST // 2 :]}"
    return (
        f'<a href="{escape(href("file", node.name))}"><title>{escape(node.name)}</title>'
        f'<rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="8" class="box"/>'
        + svg.text(x + 12, y + 19, node.kind or "file", "kind")
        + svg.text(x + BOX[0] - 12, y + 19, told, "label", "end")
        + svg.text(x + 12, y + 36, short, "name")
        + "</a>"
    )

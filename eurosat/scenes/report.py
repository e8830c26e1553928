"""A land-cover map as one web page that holds everything, its picture too."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Final

from eurosat.atomic import write_text
from eurosat.scenes.areas import Area, area_title

REPORT_FILE: Final = "report.html"

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto;
  max-width: 70rem; padding: 0 1rem; }
img { max-width: 100%; height: auto; border: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.swatch { display: inline-block; width: 1em; height: 1em; margin-right: .5em; outline: 1px solid
  #6b6b6b; vertical-align: -.1em; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.warning { border-left: .4rem solid #db8300; padding-left: .75rem; }
@media print { body { margin: 0; max-width: none; } tr, img { break-inside: avoid; } }
dt { color: #6b6b6b; } dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
"""

_HEADERS: Final = ("Class", "Cells", "{area}, ha", "{area}, km²", "Share", "Mean confidence")


def write_report(
    path: Path,
    title: str,
    picture: bytes,
    areas: tuple[Area, ...],
    pixel_name: str,
    facts: Mapping[str, str],
    notes: tuple[str, ...],
    warnings: tuple[str, ...],
) -> None:
    """Write a page that needs no other file and no network.

    Args:
        path: Where to write.
        title: The heading.
        picture: The map as a PNG file.
        areas: What each class covers.
        pixel_name: The size of a pixel, as `Ground.pixel_name` says it.
        facts: Names and values: model, window size and so on.
        notes: Sentences about how the map was made.
        warnings: Sentences about what may make it wrong.

    Raises:
        OSError: The file cannot be written.
    """
    image = base64.b64encode(picture).decode()
    heading = area_title(pixel_name)
    header = "".join(f'<th scope="col">{name.format(area=heading)}</th>' for name in _HEADERS)
    rows = "\n".join(map(_row, areas))
    alarms = "".join(f'<p class="warning">{escape(text)}</p>\n' for text in warnings)
    remarks = "".join(f"<li>{escape(text)}</li>\n" for text in notes)
    listed = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in facts.items()
    )
    write_text(
        path,
        f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{alarms}<img alt="{escape(title)}: the scene, the map and its legend"
 src="data:image/png;base64,{image}">
<h2>Areas</h2>
<table>
<tr>{header}</tr>
{rows}
</table>
<h2>How it was made</h2>
<ul>
{remarks}</ul>
<dl>
{listed}</dl>
</body>
</html>
""",
    )


def _row(area: Area) -> str:
    values = (
        f"{area.cells:,}",
        f"{area.hectares:,.2f}",
        f"{area.m2 / 1e6:,.4f}",
        "" if area.share is None else f"{area.share:.2%}",
        "" if area.confidence is None else f"{area.confidence:.1%}",
    )
    swatch = f'<span class="swatch" style="background: {area.colour}"></span>'
    cells = "".join(f"<td>{value}</td>" for value in values)
    return f"<tr><td>{swatch}{escape(area.title)}</td>{cells}</tr>"

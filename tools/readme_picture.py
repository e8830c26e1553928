"""Draw what `eurosat-classify` shows on a terminal, as `docs/classify.svg`.

python tools/readme_picture.py IMAGE...
"""

import argparse
import re
from pathlib import Path

from rich.console import Console

from eurosat import cli

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "classify.svg"


def main() -> None:
    """Classify the images and draw the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    paths = parser.parse_args().images
    console = Console(
        record=True, width=116, force_terminal=True, color_system="truecolor", highlight=False
    )
    cli.output = console
    console.print("[bold green]$[/] eurosat-classify *.jpg\n")
    cli.classify(
        paths,
        model="mobilenet-int8",
        top=2,
        as_json=False,
        csv_file=None,
        quick=False,
        threads=None,
    )
    drawing = console.export_svg(title="EuroSAT Edge")
    # A picture that needs no network: the font is the reader's own.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}", "", drawing, flags=re.DOTALL), "utf-8")


if __name__ == "__main__":
    main()

"""Write the exact versions and hashes of all packages: `make constraints`.

Only the standard library. The resolver, uv, is installed into a throw-away environment. Versions
stay as they are where they still fit; `--upgrade` takes the newest of all, and
`--upgrade-package NAME` of one. The files name no download host.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

RESOLVE = ["pip", "compile", "--quiet", "--universal", "--generate-hashes"]
RESOLVE += ["--python-version", "3.11", "--annotation-style", "line"]
RESOLVE += ["--no-header", "--no-emit-index-url", "--no-emit-find-links"]

SAME_VERSIONS = ["--constraint", "constraints.txt", "--no-annotate"]

HEADER = """\
# {title}
# Made by `make constraints`, never by hand. It holds for Python 3.11 and later on Linux, macOS
# and Windows, as far as the packages go.
"""


def main() -> None:
    """Write the three files. Options are passed on to `uv pip compile`."""
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s [-h] [option of `uv pip compile` ...]"
    )
    _, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        programs = Path(folder, "Scripts" if os.name == "nt" else "bin")
        subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", "uv"], check=True)
        resolve = [programs / "uv", *RESOLVE]
        compile_into(
            "constraints.txt",
            "Every package of every extra but `board`, and of development.",
            [*resolve, "pyproject.toml", "--extra", "all", "--group", "dev", *options],
        )
        # The same versions, less what only training and development need.
        compile_into(
            "constraints-app.txt",
            "The packages of the desktop app: a part of constraints.txt.",
            [*resolve, "pyproject.toml", "--extra", "gui", "--group", "build", *SAME_VERSIONS],
        )
        compile_into(
            "constraints-bundle.txt",
            "What makes a bundle, on top of constraints-app.txt.",
            [*resolve, "--group", "bundle", *SAME_VERSIONS, *options],
        )


def compile_into(name: str, title: str, command: list[str | Path]) -> None:
    """Resolve one set of packages into one file at the top of the repository."""
    subprocess.run([*command, "--output-file", name], cwd=ROOT, check=True)
    file = ROOT / name
    text = file.read_text(encoding="utf-8")
    if "://" in text:
        sys.exit(f"{name} names an address: install from registries only, not from a link.")
    file.write_text(HEADER.format(title=title) + text, encoding="utf-8")


if __name__ == "__main__":
    main()

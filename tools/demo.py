"""The whole chain on real EuroSAT in a few minutes: train, convert, prove, classify.

One epoch makes no good model; it shows that all the parts work. Run it with `make demo`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from eurosat.dataset import find_dataset
from eurosat.errors import EurosatError

TILES = 20


def main() -> int:
    """Run the chain in a temporary folder; return the exit status of the first command to fail."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    commands = Path(sys.executable).parent
    try:
        source = find_dataset()
    except EurosatError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="eurosat-demo-") as folder:
        run = Path(folder, "cnn")
        for step in (
            ["eurosat-train", "cnn", "--epochs", "1", "--data", str(source), "--out", str(run)],
            ["eurosat-convert", str(run), "--int8", "--data", str(source)],
        ):
            print(f"\n$ {' '.join(step)}\n", flush=True)
            status = subprocess.call([commands / step[0], *step[1:]])
            if status:
                return status
        names = json.loads(Path(run, "split.json").read_text(encoding="utf-8"))["test"]
        chosen = names[:: max(1, len(names) // TILES)][:TILES]
        tiles = [_extract(source, name, Path(folder)) for name in chosen]
        step = ["eurosat-classify", *tiles, "--model", str(run / "cnn-int8.tflite")]
        print(
            f"\n$ eurosat-classify … --model {step[-1]}    # {len(tiles)} test tiles\n", flush=True
        )
        return subprocess.call([commands / step[0], *step[1:]], cwd=folder)


def _extract(source: Path, name: str, folder: Path) -> str:
    """Copy a tile out of the data set and return its path below `folder`."""
    if source.is_dir():
        return str(next(source.rglob(name)).resolve())
    with zipfile.ZipFile(source) as archive:
        member = next(path for path in archive.namelist() if f"/{path}".endswith(f"/{name}"))
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(archive.read(member))
    return os.fspath(target.relative_to(folder))


if __name__ == "__main__":
    sys.exit(main())

"""Train both models on a GPU, in eight minutes where two cores would take days.

    pip install --group gpu
    python tools/gpu/train.py runs --teacher runs/mobilenet

Three EfficientNet-Lite learn first. What they, and the MobileNet of an earlier run where one is
named, say about 16 views of every training tile is what a new MobileNet and a new CNN learn from.
The CNN then goes on with fresh views that the new MobileNet labels, and keeps the mean of its
weights before and after. It is our own architectures that are fitted, in PyTorch; the two run
folders that come out, `mobilenet-gpu` and `cnn-gpu`, are like those of `eurosat-train`:
`eurosat-convert` takes them, and `eurosat-train --from-run` goes on with them.
"""

from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from pathlib import Path

from eurosat.console import refusals_told
from eurosat.errors import MissingPackageError
from eurosat.tensorflow_start import require_tensorflow


def main() -> None:
    """Train; refuse what cannot be trained with in a sentence and with status 2."""
    asked = _arguments()
    with refusals_told():
        require_tensorflow()
        if find_spec("torch") is None:
            raise MissingPackageError("PyTorch is not installed: run `pip install --group gpu`.")
        # So late because they are slow to load, and not everywhere.
        from training import train_both

        train_both(asked)


def _arguments() -> Namespace:
    parser = ArgumentParser(description="Train both models on a GPU.")
    parser.add_argument("out", type=Path, help="folder for the two run folders")
    parser.add_argument("--data", type=Path, help="folder or zip file with the data set")
    parser.add_argument("--teacher", type=Path, help="run folder of a MobileNet that teaches too")
    parser.add_argument("--share", type=float, default=1.0, help="share of all epochs, for a trial")
    return parser.parse_args()


if __name__ == "__main__":
    main()

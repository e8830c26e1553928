"""Where each command begins, so that Ctrl-C while its modules load shows no traceback.

And what all of them answer without loading any.
"""

import sys
from collections.abc import Callable
from importlib import import_module

from eurosat.interrupts import interrupts_end_at_once


def _command(module: str) -> Callable[[], int | None]:
    """Return a function that loads a module and runs its `main`."""

    def start() -> int | None:
        with interrupts_end_at_once():
            if sys.argv[1:] == ["--version"]:
                return _tell_version()
            main = import_module(module).main
        return main()

    return start


def _tell_version() -> int:
    from importlib.metadata import version

    # Unlike a stream's own method, it does nothing where there is none, as for an app on Windows.
    print(f"EuroSAT Edge {version('eurosat-edge')}")  # noqa: T201
    return 0


train = _command("eurosat.train.cli")
evaluate = _command("eurosat.train.evaluate_cli")
tune = _command("eurosat.train.tune_cli")
compare = _command("eurosat.train.compare_cli")
convert = _command("eurosat.convert.cli")
classify = _command("eurosat.cli")
benchmark = _command("eurosat.benchmark_cli")
map_scenes = _command("eurosat.scenes.cli")
gui = _command("eurosat.gui.__main__")

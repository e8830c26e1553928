"""Where each command begins, so that Ctrl-C while its modules load shows no traceback."""

from collections.abc import Callable
from importlib import import_module

from eurosat.interrupts import interrupts_end_at_once


def _command(module: str) -> Callable[[], int | None]:
    """Return a function that loads a module and runs its `main`."""

    def start() -> int | None:
        with interrupts_end_at_once():
            main = import_module(module).main
        return main()

    return start


train = _command("eurosat.train.cli")
evaluate = _command("eurosat.train.evaluate_cli")
tune = _command("eurosat.train.tune_cli")
compare = _command("eurosat.train.compare_cli")
convert = _command("eurosat.convert.cli")
classify = _command("eurosat.cli")
benchmark = _command("eurosat.benchmark_cli")
map_scenes = _command("eurosat.scenes.cli")
gui = _command("eurosat.gui.__main__")

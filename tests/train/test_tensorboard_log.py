"""The log for TensorBoard, read back by TensorBoard."""

import csv
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from eurosat.run_folder import RunFolder


@pytest.mark.parametrize(("part", "prefix"), [("training", ""), ("validation", "validation_")])
@pytest.mark.parametrize("figure", ["loss", "accuracy"])
def test_the_log_holds_the_figures_of_the_history(
    part: str, prefix: str, figure: str, small_run: Path
) -> None:
    folder = RunFolder(small_run)
    log = EventAccumulator(str(folder.tensorboard / part))
    log.Reload()
    with folder.history.open(newline="", encoding="utf-8") as file:
        expected = [float(row[prefix + figure]) for row in csv.DictReader(file)]
    events = log.Tensors(figure)
    assert [event.step for event in events] == list(range(1, len(expected) + 1))
    logged = [float(make_ndarray(event.tensor_proto)) for event in events]
    assert logged == pytest.approx(expected, rel=1e-6)

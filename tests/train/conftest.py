"""The small run's data and split, for tests of what learns from an earlier run."""

from pathlib import Path

import pytest

from eurosat.dataset import Dataset, load_dataset
from eurosat.run_folder import RunFolder
from eurosat.split import Split


@pytest.fixture(scope="module")
def dataset(small_archive: Path) -> Dataset:
    return load_dataset(small_archive)


@pytest.fixture(scope="module")
def split(small_run: Path) -> Split:
    return RunFolder(small_run).read_split()

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eurosat.calibration import expected_calibration_error, reliability_bins, sure_share
from eurosat.classifier import Classifier
from eurosat.dataset import Dataset, find_dataset, load_dataset
from eurosat.labels import EUROSAT_CLASSES
from eurosat.model_file import read_model_file, shipped_model_names, shipped_model_path
from eurosat.split import split_dataset

MODELS = Path(__file__).resolve().parents[2] / "models"
NAMES = ("cnn-int8", "mobilenet-int8")
TEST_TILES = Path(__file__).with_name("test_tiles.txt")
LOWEST_ACCURACY = {"cnn-int8": 0.98, "mobilenet-int8": 0.988}
MOST_BYTES = {"cnn-int8": 600_000, "mobilenet-int8": 3_000_000}
LARGEST_DROP = 0.0015


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset(find_dataset())


def test_the_two_models_are_there():
    assert tuple(shipped_model_names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_is_as_accurate_on_the_test_split_as_its_card_says(
    name: str, dataset: Dataset
):
    metadata = read_model_file(shipped_model_path(name)).metadata
    assert metadata is not None
    said = metadata.accuracy["test"]["exported"]["accuracy"]
    provenance = metadata.provenance
    # By their names, so that they are found in the whole archive, too.
    test_tiles = TEST_TILES.read_text(encoding="utf-8").split()
    positions = dataset.positions(test_tiles)
    assert len(positions) == provenance["split"]["test"]
    if dataset.fingerprint == provenance["data_fingerprint"]:
        split = split_dataset(dataset, seed=provenance["split"]["seed"])
        assert set(split.test) == set(test_tiles)

    probabilities = Classifier.shipped(name).classify_batch(dataset.tiles[positions])
    accuracy = float((probabilities.argmax(axis=1) == dataset.labels[positions]).mean())

    # Another processor may round a handful of tiles the other way.
    assert accuracy == pytest.approx(said, abs=0.002)
    assert accuracy >= LOWEST_ACCURACY[name]
    card = (MODELS / f"{name}.md").read_text(encoding="utf-8")
    assert (
        f"| accuracy | {metadata.accuracy['test']['original']['accuracy']:.2%} | {said:.2%} |"
        in card
    )

    recorded = metadata.accuracy["calibration"]["test"]
    labels = dataset.labels[positions]
    assert metadata.unsure_below is not None
    coverage, sure_accuracy = sure_share(probabilities, labels, metadata.unsure_below)
    error = expected_calibration_error(reliability_bins(probabilities, labels))
    assert coverage == pytest.approx(recorded["coverage"], abs=0.005)
    assert sure_accuracy == pytest.approx(recorded["sure_accuracy"], abs=0.002)
    assert error == pytest.approx(recorded["ece_after"], abs=0.002)
    assert error < 0.01 < recorded["ece_before"]
    assert f"On test, {recorded['coverage']:.2%} of the tiles get a sure answer" in card


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_is_small(name: str):
    assert shipped_model_path(name).stat().st_size <= MOST_BYTES[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_passed_the_gate(name: str):
    metadata = read_model_file(shipped_model_path(name)).metadata
    assert metadata is not None
    test = metadata.accuracy["test"]
    assert test["drop"] <= LARGEST_DROP
    for label, recall in test["original"]["recalls"].items():
        assert recall - test["exported"]["recalls"][label] <= 0.02


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_knows_the_classes_of_eurosat(name: str):
    assert Classifier.shipped(name).class_names == tuple(cover.name for cover in EUROSAT_CLASSES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_gives_probabilities(name: str):
    grey = np.full((64, 64, 3), 128, np.uint8)
    probabilities = Classifier.shipped(name).classify_batch(grey[None])[0]
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_the_checksums_are_those_of_the_files():
    lines = (MODELS / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert listed == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in MODELS.glob("*.tflite")
    }


# Opens each file of a folder and classifies with it; a death of this process is what must not be.
FUZZ = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError

def outcome(path):
    try:
        answers = Classifier(path, threads=1).classify_batch(np.zeros((1, 64, 64, 3), np.uint8))
    except ModelFileError as error:
        return str(error)
    return "works" if np.isfinite(answers).all() else "not finite"

with ThreadPoolExecutor(2) as executor:
    print(json.dumps(list(executor.map(outcome, sorted(Path(sys.argv[1]).iterdir())))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_flipped_and_cut_bytes_of_a_shipped_model_end_no_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "damaged"
    folder.mkdir()
    path = shipped_model_path(name)
    whole, bare = path.read_bytes(), read_model_file(path).flatbuffer
    dice = np.random.default_rng(0)
    for number in range(150):
        # By turns with its checksum, and as a file of others, which has none. Most flips fall
        # where the structure stands, at the two ends, and not among the weights.
        damaged = bytearray(whole if number % 2 else bare)
        if number % 5 == 0:
            del damaged[dice.integers(len(damaged)) :]
        for _ in range(1 + number % 3):
            near = int(dice.integers(1, 20_000))
            place = (near, -near, int(dice.integers(len(damaged) + 1)))[number % 3]
            if len(damaged) > abs(place):
                damaged[place] ^= 1 << int(dice.integers(8))
        (folder / f"{number:03}.tflite").write_bytes(damaged)

    process = subprocess.run(
        [sys.executable, "-P", "-c", FUZZ, folder], capture_output=True, text=True, check=False
    )

    assert process.returncode == 0, process.stderr
    outcomes = json.loads(process.stdout)
    refused = [outcome for outcome in outcomes if outcome.endswith(".")]
    assert outcomes.count("works") + len(refused) == len(outcomes) == 150
    assert all(outcome != "works" for outcome in outcomes[1::2]), "a checksum that fits no more"

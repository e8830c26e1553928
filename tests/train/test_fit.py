"""A training run: the same digits every time, however often it was broken off in between."""

import csv
import io
import json
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import keras
import numpy as np
import pytest

from eurosat.dataset import Dataset
from eurosat.errors import RunFolderError
from eurosat.keras_model import predict
from eurosat.run_folder import RunFolder
from eurosat.split import Split
from eurosat.train import fit as fit_module
from eurosat.train.configuration import DEFAULTS, Architecture, Optimizer, TrainingConfiguration
from eurosat.train.fit import Epoch, Step, best_epoch, build_model, fit, read_history

from ..commands import Command

Start = Callable[..., "Popen[str]"]


@pytest.fixture(scope="module")
def split(small_run: Path) -> Split:
    """A quarter of the tiles of the small run, for trainings of a second."""
    whole = RunFolder(small_run).read_split()
    return replace(whole, train=whole.train[::4], validation=whole.validation[::2])


def configuration(**changes: Any) -> TrainingConfiguration:
    small = {"epochs": 2, "batch_size": 16, "image_size": 32, "blocks": 1}
    return replace(DEFAULTS[Architecture.CNN], **small | changes)


def without_seconds(history: list[Epoch]) -> list[Epoch]:
    return [replace(epoch, seconds=0.0) for epoch in history]


def weights_of(folder: Path) -> list[np.ndarray]:
    model = keras.saving.load_model(RunFolder(folder).model, compile=False)
    return [variable.numpy() for variable in model.variables if "seed" not in variable.path]


def assert_same_weights(one: Path, other: Path) -> None:
    for first, second in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_array_equal(first, second)


def rows_of(folder: Path) -> list[dict[str, str]]:
    text = RunFolder(folder).history.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        assert float(row.pop("seconds")) > 0
    return rows


def metrics_of(folder: Path) -> dict[str, Any]:
    metrics = json.loads(RunFolder(folder).metrics.read_text(encoding="utf-8"))
    assert metrics.pop("training_seconds") > 0
    return metrics


def stopped_after(process: "Popen[str]", start: str, how: signal.Signals) -> tuple[int, str]:
    """Send a signal a little after a line on standard error; return exit status and all lines."""
    lines = ""
    assert process.stderr is not None
    with process.stderr as stream:
        for line in stream:
            lines += line
            if line.startswith(start):
                time.sleep(0.2)
                process.send_signal(how)
                break
        lines += stream.read()
    return process.wait(), lines


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_if_it_never_was(
    small_run: Path,
    small_archive: Path,
    small_training_options: tuple[str, ...],
    tmp_path: Path,
    command: Command,
    start_command: Start,
):
    folder = RunFolder(tmp_path / "run")
    options = ("--data", small_archive, "--out", folder.path, "--test")

    begun = start_command("eurosat-train", *small_training_options, *options)
    status, lines = stopped_after(begun, "epoch 1/4", signal.SIGKILL)
    assert status == -signal.SIGKILL, lines
    assert len(rows_of(folder.path)) in {1, 2}
    assert not folder.model.exists()
    first_epoch = read_history(folder.history)[0]
    first_line = next(line for line in lines.splitlines() if line.startswith("epoch 1/4"))

    resumed = start_command("eurosat-train", "cnn", *options, "--resume")
    status, lines = stopped_after(resumed, "epoch 2/4", signal.SIGINT)
    assert status == 130, lines
    assert read_history(folder.history)[0] == first_epoch, "the first epoch was trained again"
    assert lines.splitlines().count(first_line) == 1, "what was before the break is shown too"
    assert f"eurosat-train --resume --out {folder.path}" in lines
    assert "Traceback" not in lines
    assert len(rows_of(folder.path)) in {2, 3}
    assert not folder.model.exists()

    done = command("eurosat-train", "cnn", *options, "--resume")
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stderr.splitlines() if line.startswith("epoch ")]
    assert len(shown) == 4
    best = max(read_history(folder.history), key=lambda epoch: epoch.merit).epoch
    assert [line.endswith(", best") for line in shown[best - 1 :]] == [True] + [False] * (4 - best)
    assert rows_of(folder.path) == rows_of(small_run)
    assert_same_weights(folder.path, small_run)
    assert metrics_of(folder.path) == metrics_of(small_run)
    leftovers = list(folder.path.rglob(".*"))
    assert len(leftovers) <= 1, "more than the file that was being written when the run was killed"


@pytest.fixture(scope="module")
def fitted(
    dataset: Dataset, split: Split, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Epoch], list[Step | Epoch]]:
    """Folder, history and news of a training of two epochs."""
    folder = tmp_path_factory.mktemp("fitted")
    news: list[Step | Epoch] = []
    history = fit(configuration(), dataset, split, RunFolder(folder), news.append)
    return folder, history, news


def test_the_same_seed_gives_the_same_digits(
    fitted: tuple[Path, list[Epoch], Any], dataset: Dataset, split: Split, tmp_path: Path
):
    folder, history, _ = fitted
    again = fit(configuration(), dataset, split, RunFolder(tmp_path))
    assert without_seconds(again) == without_seconds(history)
    assert_same_weights(tmp_path, folder)


def test_another_seed_gives_another_model():
    def first_weights(seed: int) -> np.ndarray:
        keras.utils.set_random_seed(seed)
        return build_model(configuration(), 10).trainable_variables[0].numpy()

    assert np.array_equal(first_weights(1), first_weights(1))
    assert not np.allclose(first_weights(1), first_weights(2))


def test_news_come_of_every_batch_and_epoch(
    fitted: tuple[Path, list[Epoch], list[Step | Epoch]], split: Split
):
    folder, history, news = fitted
    batches = -(-len(split.train) // 16)
    expected = [(epoch, batch) for epoch in (1, 2) for batch in (*range(1, batches + 1), 0)]
    assert [(one.epoch, one.batch if isinstance(one, Step) else 0) for one in news] == expected
    assert [one for one in news if isinstance(one, Epoch)] == history
    last_step = news[batches - 1]
    assert isinstance(last_step, Step)
    assert last_step.batches == batches
    assert last_step.loss == pytest.approx(history[0].loss)
    assert last_step.accuracy == pytest.approx(history[0].accuracy)
    # What the file says is what was returned, to the last digit.
    for row, epoch in zip(rows_of(folder), history, strict=True):
        assert {name: float(value) for name, value in row.items()} == {
            "epoch": epoch.epoch,
            "loss": epoch.loss,
            "accuracy": epoch.accuracy,
            "validation_loss": epoch.validation_loss,
            "validation_accuracy": epoch.validation_accuracy,
            "image_size": epoch.image_size,
            "averaged": epoch.averaged,
        }


def test_patience_ends_the_run_and_the_best_epoch_is_kept(
    dataset: Dataset, split: Split, tmp_path: Path
):
    history = fit(
        configuration(epochs=12, patience=2, label_smoothing=0.0),
        dataset,
        split,
        RunFolder(tmp_path),
    )
    kept = best_epoch(history)
    assert len(history) < 12, "validation got better for so long that nothing was stopped"
    assert len(history) == kept.epoch + 2
    for end in range(1, len(history)):
        so_far = history[:end]
        assert end - best_epoch(so_far).epoch < 2, "should have stopped before"
    positions = dataset.positions(split.validation)
    model = keras.saving.load_model(RunFolder(tmp_path).model, compile=False)
    probabilities = predict(model, dataset.tiles[positions])
    labels = dataset.labels[positions]
    assert (probabilities.argmax(axis=1) == labels).mean() == pytest.approx(
        kept.validation_accuracy
    )
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(kept.validation_loss, rel=1e-4)
    assert loss != pytest.approx(history[-1].validation_loss, rel=1e-3)


def test_no_patience_keeps_the_last_epochs_from_being_averaged(
    dataset: Dataset, split: Split, tmp_path: Path
):
    # At this rate validation gets no better, so that one epoch would be enough.
    asked = configuration(epochs=4, averaged=1, patience=1, learning_rate=1e-9)
    history = fit(asked, dataset, split, RunFolder(tmp_path))
    assert [epoch.averaged for epoch in history] == [0, 0, 0, 1]
    assert best_epoch(history).epoch == 4
    assert read_history(RunFolder(tmp_path).history) == history


def test_on_few_tiles_validation_tells_what_was_learnt(
    dataset: Dataset, split: Split, tmp_path: Path
):
    # Judged on the very tiles that it learns, in epochs of a full batch and a small one.
    split = replace(split, validation=split.train)
    asked = configuration(epochs=8, batch_size=64, augment=False, dropout=0.0)
    *_, last = fit(asked, dataset, split, RunFolder(tmp_path))
    assert last.accuracy > 0.5
    assert last.validation_accuracy > last.accuracy - 0.1


def test_among_equally_accurate_epochs_the_smaller_loss_is_best():
    epochs = [
        Epoch(number, 1.0, 0.5, loss, accuracy, 1.0)
        for number, loss, accuracy in ((1, 0.5, 0.8), (2, 0.9, 0.9), (3, 0.7, 0.9), (4, 0.7, 0.9))
    ]
    assert best_epoch(epochs).epoch == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": Optimizer.ADAM, "l2": 10.0, "batch_size": 4, "learning_rate": 0.005},
        {"optimizer": Optimizer.ADAMW, "label_smoothing": 0.0},
        {"optimizer": Optimizer.RMSPROP, "dropout": 0.0, "units": 0, "learning_rate": 1e-4},
        {"optimizer": Optimizer.SGD, "augment": False, "batch_size": 7},
    ],
    ids=lambda changes: changes["optimizer"],
)
def test_every_kind_of_training_runs(
    changes: dict[str, Any], dataset: Dataset, split: Split, tmp_path: Path
):
    asked = configuration(epochs=1, **changes)
    keras.utils.set_random_seed(asked.seed)
    before = [variable.numpy() for variable in build_model(asked, 10).trainable_variables]
    (epoch,) = fit(asked, dataset, split, RunFolder(tmp_path))
    # Far below what a penalty of L2 or a blown-up step would add.
    assert 0 < epoch.loss < 10
    assert 0 < epoch.validation_loss < 20
    assert len(rows_of(tmp_path)) == 1
    model = keras.saving.load_model(RunFolder(tmp_path).model, compile=False)
    after = [variable.numpy() for variable in model.trainable_variables]
    moved = [not np.array_equal(*pair) for pair in zip(before, after, strict=True)]
    assert all(moved), "some weights were not trained"
    if asked.l2:
        sizes = [sum(np.square(w).sum() for w in all_ if w.ndim > 1) for all_ in (before, after)]
        assert sizes[1] < 0.8 * sizes[0], "the penalty did not make the kernels smaller"


def test_optimizer_and_smoothing_are_those_that_were_asked_for():
    for choice, kind in (
        (Optimizer.ADAM, keras.optimizers.Adam),
        (Optimizer.ADAMW, keras.optimizers.AdamW),
        (Optimizer.RMSPROP, keras.optimizers.RMSprop),
        (Optimizer.SGD, keras.optimizers.SGD),
    ):
        asked = configuration(optimizer=choice, label_smoothing=0.25)
        model = build_model(asked, 10)
        fit_module._compile(model, asked, 0, 10)  # pyright: ignore[reportPrivateUsage]
        assert type(model.optimizer) is kind
        assert model.loss.label_smoothing == 0.25


def test_weight_decay_makes_kernels_smaller_and_nothing_else():
    variables = build_model(configuration(), 10).trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    still = [np.zeros(variable.shape) for variable in variables]
    optimizer = fit_module._optimizer(Optimizer.ADAMW, 0.1)  # pyright: ignore[reportPrivateUsage]
    optimizer.apply(still, variables)
    smaller = {variable.name for variable in variables if (variable.numpy() < 1).any()}
    assert smaller == {"kernel"}
    assert {variable.name for variable in variables} == {"kernel", "bias", "gamma", "beta"}


@pytest.mark.parametrize(
    ("rate", "what"),
    [
        # The loss stays finite: a ReLU makes 0 of what is no number.
        ("1e30", "Some weights are no longer finite numbers"),
        ("1e38", "The loss is no longer a finite number"),
    ],
)
def test_training_that_runs_away_is_told_in_a_sentence(
    rate: str, what: str, small_archive: Path, tmp_path: Path, command_here: Command
):
    done = command_here(
        "eurosat-train",
        *("cnn", "--epochs", 1, "--batch-size", 16, "--image-size", 32, "--blocks", 1),
        *("--optimizer", "sgd", "--learning-rate", rate),
        *("--data", small_archive, "--out", tmp_path / "run"),
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"Error: {what} in epoch 1: train with a --learning-rate below {float(rate)}."
    )
    assert not RunFolder(tmp_path / "run").model.exists()


def emptied(_: bytes) -> bytes:
    return b""


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    return content[: len(content) // 2] + bytes(1000) + content[len(content) // 2 + 1000 :]


def seemingly_encrypted(content: bytes) -> bytes:
    place = content.rindex(b"PK\x01\x02", 0, content.index(b"PK\x01\x02") + 4) + 8
    return content[:place] + b"\x01" + content[place + 1 :]


def of_unknown_compression(content: bytes) -> bytes:
    place = content.index(b"PK\x01\x02") + 10
    return content[:place] + b"\x63" + content[place + 1 :]


@pytest.mark.parametrize(
    "damaged",
    [emptied, cut_short, overwritten, seemingly_encrypted, of_unknown_compression],
)
def test_a_damaged_checkpoint_is_told_in_a_sentence(
    damaged: Callable[[bytes], bytes],
    small_run: Path,
    small_archive: Path,
    tmp_path: Path,
    command_here: Command,
):
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(small_run, folder.path)
    folder.checkpoint.write_bytes(damaged(folder.checkpoint.read_bytes()))
    done = command_here(
        "eurosat-train", "cnn", "--data", small_archive, "--out", folder.path, "--resume"
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"Error: The checkpoint {folder.checkpoint} is damaged: remove it and train from the start."
    )
    assert "Traceback" not in done.stderr


def test_the_checkpoint_of_another_model_is_refused(
    small_run: Path, dataset: Dataset, split: Split
):
    with pytest.raises(RunFolderError, match=r"^The checkpoint .* is damaged: "):
        fit(configuration(units=16), dataset, split, RunFolder(small_run))


def test_what_a_break_after_the_last_epoch_left_out_is_made_good(
    small_run: Path, dataset: Dataset, tmp_path: Path
):
    original, folder = RunFolder(small_run), RunFolder(tmp_path / "run")
    shutil.copytree(small_run, folder.path)
    folder.model.unlink()
    lines = folder.history.read_text(encoding="utf-8").splitlines(keepends=True)
    folder.history.write_text("".join(lines[:-1]), encoding="utf-8")
    asked = TrainingConfiguration.from_json(original.read_config()["training"])
    fit(asked, dataset, original.read_split(), folder)
    assert folder.history.read_bytes() == original.history.read_bytes()
    assert_same_weights(folder.path, small_run)


def changed_layers(folder: RunFolder, fresh: keras.Model) -> set[str]:
    """Names of the layers whose variables in the checkpoint differ from those of a fresh model."""
    with np.load(folder.checkpoint) as arrays:
        return {
            variable.path.partition("/")[0]
            for position, variable in enumerate(fresh.variables)
            if not np.array_equal(variable.numpy(), arrays[f"weights/{position}"])
        }


def fresh_model(asked: TrainingConfiguration) -> keras.Model:
    keras.utils.set_random_seed(asked.seed)
    return build_model(asked, 10)


def test_the_head_is_fitted_alone_before_the_whole_model(
    dataset: Dataset, split: Split, tmp_path: Path
):
    class BrokenOffError(Exception):
        pass

    def break_off(news: Step | Epoch) -> None:
        if isinstance(news, Epoch):
            raise BrokenOffError

    asked = configuration(head_epochs=1)
    fresh = fresh_model(asked)
    head = {"dense", "logits"}
    trunk = {
        layer.name
        for layer in fresh.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.BatchNormalization)
    }
    broken, whole = RunFolder(tmp_path / "broken"), RunFolder(tmp_path / "whole")
    with pytest.raises(BrokenOffError):
        fit(asked, dataset, split, broken, break_off)
    changed = changed_layers(broken, fresh)
    assert head <= changed
    assert not trunk & changed
    # Gone on with just where the stages meet, it ends like a run without a break.
    after_a_break = fit(asked, dataset, split, broken)
    assert head | trunk <= changed_layers(broken, fresh)
    assert without_seconds(after_a_break) == without_seconds(fit(asked, dataset, split, whole))
    assert_same_weights(broken.path, whole.path)


def test_a_model_grows_to_its_size_and_only_what_it_did_there_counts(
    dataset: Dataset, split: Split, tmp_path: Path
):
    class BrokenOffError(Exception):
        pass

    asked = configuration(epochs=4, growing=0.75, image_size=64, patience=1)
    broken, whole = RunFolder(tmp_path / "broken"), RunFolder(tmp_path / "whole")
    history = fit(asked, dataset, split, whole)
    assert [epoch.image_size for epoch in history] == [32, 32, 48, 64], "patience ended its growth"
    assert best_epoch(history).epoch == 4
    assert read_history(whole.history) == history
    # What is saved takes tiles as they are, and answers like the last epoch.
    positions = dataset.positions(split.validation)
    model = keras.saving.load_model(whole.model, compile=False)
    answers = predict(model, dataset.tiles[positions]).argmax(axis=1)
    right = float((answers == dataset.labels[positions]).mean())
    assert right == pytest.approx(history[-1].validation_accuracy)
    assert not any(isinstance(layer, keras.layers.Resizing) for layer in model.layers)

    # A break at any place, where sizes meet too, changes nothing.
    for last in range(1, 4):

        def break_off(news: Step | Epoch, last: int = last) -> None:
            if isinstance(news, Epoch) and news.epoch == last:
                raise BrokenOffError

        with pytest.raises(BrokenOffError):
            fit(asked, dataset, split, broken, break_off)
    after_breaks = fit(asked, dataset, split, broken)
    assert without_seconds(after_breaks) == without_seconds(history)
    assert_same_weights(broken.path, whole.path)


def test_the_last_epochs_are_averaged_and_a_break_changes_nothing(
    dataset: Dataset, split: Split, tmp_path: Path
):
    class BrokenOffError(Exception):
        pass

    asked = configuration(epochs=3, averaged=3)
    broken, whole = RunFolder(tmp_path / "broken"), RunFolder(tmp_path / "whole")
    variables = build_model(asked, 10).variables
    weights: list[list[np.ndarray]] = []

    def remember(news: Step | Epoch) -> None:
        if isinstance(news, Epoch):
            with np.load(whole.checkpoint) as arrays:
                weights.append([arrays[f"weights/{at}"] for at in range(len(variables))])

    history = fit(asked, dataset, split, whole, remember)
    kept = best_epoch(history)
    model = keras.saving.load_model(whole.model, compile=False)
    assert kept.epoch > 1, "what is kept is the mean of one, so that this shows nothing"
    trained = [at for at, variable in enumerate(variables) if variable.trainable]
    with np.load(whole.checkpoint) as arrays:
        for number, at in enumerate(trained):
            every = [epoch[at] for epoch in weights]
            np.testing.assert_allclose(arrays[f"mean/{number}"], np.mean(every, 0), atol=1e-6)
            kept_weights = np.mean(every[: kept.epoch], axis=0)
            np.testing.assert_allclose(model.variables[at].numpy(), kept_weights, atol=1e-6)
    # Batch normalisation has measured anew.
    moving = [at for at, variable in enumerate(variables) if "moving" in variable.path]
    assert moving
    for at in moving:
        assert not np.array_equal(model.variables[at].numpy(), weights[kept.epoch - 1][at])
    # What is judged is the mean.
    positions = dataset.positions(split.validation)
    answers = predict(model, dataset.tiles[positions]).argmax(axis=1)
    right = float((answers == dataset.labels[positions]).mean())
    assert right == pytest.approx(kept.validation_accuracy)

    for last in (1, 2):

        def break_off(news: Step | Epoch, last: int = last) -> None:
            if isinstance(news, Epoch) and news.epoch == last:
                raise BrokenOffError

        with pytest.raises(BrokenOffError):
            fit(asked, dataset, split, broken, break_off)
    assert without_seconds(fit(asked, dataset, split, broken)) == without_seconds(history)
    assert_same_weights(broken.path, whole.path)


def test_the_model_is_saved_without_what_only_training_needs(small_run: Path):
    weights = sum(array.nbytes for array in weights_of(small_run))
    size = RunFolder(small_run).model.stat().st_size
    assert weights < size < 1.5 * weights, "an optimizer holds each weight twice"


def test_a_history_of_before_models_grew_is_read(tmp_path: Path):
    old = "epoch,loss,accuracy,validation_loss,validation_accuracy,seconds\n1,0.5,0.8,0.4,0.9,2.0\n"
    (tmp_path / "history.csv").write_text(old)
    assert [epoch.validation_accuracy for epoch in read_history(tmp_path / "history.csv")] == [0.9]


@pytest.mark.slow
def test_the_trunk_of_a_mobilenet_stays_as_it_was_while_the_head_is_fitted(
    dataset: Dataset, split: Split, tmp_path: Path
):
    asked = replace(
        DEFAULTS[Architecture.MOBILENET],
        epochs=1,
        head_epochs=1,
        batch_size=16,
        image_size=32,
        width=0.35,
        weights="none",
    )
    fit(asked, dataset, split, RunFolder(tmp_path))
    changed = changed_layers(RunFolder(tmp_path), fresh_model(asked))
    assert {"dense", "logits"} <= changed
    assert not {"Conv1", "bn_Conv1", "block_16_project", "Conv_1", "Conv_1_bn"} & changed

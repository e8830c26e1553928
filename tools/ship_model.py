"""Ship a model: copy a proven model file into `models/` with its card and its checksum.

    python tools/ship_model.py RUN/mobilenet-int8.tflite

Every figure of the card is read from the files that `eurosat-train`, `tools/blend.py` and
`eurosat-convert` wrote; runs that were gone on from must still be there. What machine it was, which
other files had been looked at on test, and how a run of `tools/gpu/train.py` was made, is for a
person to add.

    python tools/ship_model.py models/mobilenet-int8.tflite --calibrate

fits temperature and threshold of a shipped file anew, on the validation split that its provenance
records and through the file itself, measures them on the test split, and renews the metadata, the
card's sections on confidence and cost, and the checksum. The FlatBuffer, and so every answer, stays
as it is.
"""

import hashlib
import json
import re
import shutil
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from eurosat.arithmetic import count_arithmetic
from eurosat.atomic import write_text
from eurosat.calibration import calibration_record, fit_calibration, measure_calibration
from eurosat.console import refusals_told
from eurosat.dataset import find_dataset, load_dataset
from eurosat.errors import EurosatError
from eurosat.labels import land_cover
from eurosat.model_file import ModelMetadata, read_model_file, write_model_file
from eurosat.split import Part
from eurosat.train.configuration import TrainingConfiguration, training_command
from eurosat.train.trained_model import choose_tiles, open_model

MODELS = Path(__file__).resolve().parent.parent / "models"

CARD = """# {title}

{description} Input: the raw uint8 RGB tile `[n, 64, 64, 3]`, 10 m on the ground
to a pixel. Output: float32 probabilities `[n, {class_count}]`. {size_bytes:,} bytes;
{parameters:,} parameters before quantisation.

## How good it is

Measured once, on the test split of {tiles:,} tiles, after validation had made every choice about
this file: the Keras model, and this file on LiteRT{views}.

| | Keras, float | this file | change |
| --- | --- | --- | --- |
{rows}

The two give the same answer on {agreement:.2%} of the tiles. The accuracy drop is {drop:.2f} points
(95 % interval {low:.2f} to {high:.2f}; McNemar's exact test p = {p:.2g}).{reserves}
On validation, which chose the epoch, the Keras model reached {validation:.2%}.

{confidence_and_cost}## How it was made

```sh
{commands}
```

Trained for {epochs} epochs, {minutes:.0f} minutes in all; epoch {kept} of the last run was kept.
Data: {data:,} tiles of EuroSAT RGB (Helber et al. 2019), fingerprint `{fingerprint}`, split
{split} with seed {seed}. Calibrated on {calibration} training tiles. All of this is inside the
file too, as `eurosat.json`.

## What it cannot do

It knows ten classes and names one of them for every picture, clouds, snow and cats included. It was
trained on European Sentinel-2 L1C tiles of one scaling (reflectance 0 to 0.275 is pixel 1 to 255);
pictures of other sensors, seasons or scalings may get confident wrong answers.
"""

CONFIDENCE = """## How sure it is

The confidence shown is calibrated: logits are divided by a temperature of {temperature:.3f}, fitted
on the validation split ([Guo et al. 2017](https://proceedings.mlr.press/v70/guo17a.html)). The
expected calibration error on test is {before:.2%} without it and {after:.2%} with it. An answer
with less than {unsure_below:.1%} confidence counts as unsure; this was chosen so that on validation
99.5 % of the sure answers are right. On test, {coverage:.2%} of the tiles get a sure answer, and
{sure:.2%} of these are right.

"""

COST = """## What it costs

One tile takes {multiplications:,} multiplications with {parameters:,} weights and biases, and
{peak:,} bytes for the values between layers at most, whatever the device
(`eurosat-benchmark {name} --arithmetic`). How fast that is stands in `docs/benchmarks.md`.

"""


def main() -> None:
    """Ship or calibrate, and renew the list of checksums; refuse what cannot be in a sentence."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="a model file that eurosat-convert wrote")
    parser.add_argument("--calibrate", action="store_true", help="fit a shipped file anew")
    arguments = parser.parse_args()
    with refusals_told():
        (_calibrate if arguments.calibrate else _ship)(arguments.file)
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(MODELS.glob("*.tflite"))
    ]
    write_text(MODELS / "SHA256SUMS", "".join(sums))


def _ship(source: Path) -> None:
    """Copy a model file and write its card.

    Raises:
        EurosatError: The file is none of ours, or what it came from is no longer beside it.
    """
    metadata = _metadata(source)
    try:
        report = json.loads(source.with_suffix(".json").read_text(encoding="utf-8"))
        card = _card(source, metadata, report)
    except OSError as error:
        raise EurosatError(
            f"{error.filename} cannot be read ({error.strerror}): name a model file in its run "
            "folder, with the runs that it came from still there."
        ) from error
    shutil.copyfile(source, MODELS / source.name)
    write_text(MODELS / f"{source.stem}.md", card)


def _calibrate(path: Path) -> None:
    """Fit temperature and threshold of a shipped file; renew its metadata and its card.

    Raises:
        EurosatError: The file is none of ours, or gives other answers than it is said to.
    """
    file, metadata = read_model_file(path), _metadata(path)
    dataset = load_dataset(find_dataset())
    parts = (Part.VALIDATION, Part.TEST)
    model = open_model(path)
    positions = {part: choose_tiles(model, dataset, part)[1] for part in parts}
    labels = {part: dataset.labels[positions[part]] for part in parts}
    said = {part: model.predict(dataset.tiles[positions[part]]) for part in parts}
    accuracy = float((said[Part.TEST].argmax(axis=1) == labels[Part.TEST]).mean())
    recorded = metadata.accuracy["test"]["exported"]["accuracy"]
    print(f"{path.stem}: accuracy on test {accuracy:.4%}, recorded {recorded:.4%}")
    # Another processor may round a handful of tiles the other way.
    if abs(accuracy - recorded) > 0.002:
        raise EurosatError(f"{path} does not give the answers that were measured: restore it.")

    calibration = fit_calibration(said[Part.VALIDATION], labels[Part.VALIDATION])
    record = calibration_record(
        calibration,
        {part: measure_calibration(calibration, said[part], labels[part]) for part in parts},
    )
    print(json.dumps(record, indent=2))
    card = path.with_suffix(".md")
    text = card.read_text(encoding="utf-8")
    write_model_file(
        path,
        file.flatbuffer,
        replace(
            metadata,
            temperature=calibration.temperature,
            unsure_below=calibration.unsure_below,
            accuracy={**metadata.accuracy, "calibration": record},
        ),
    )
    renewed = read_model_file(path)
    if renewed.flatbuffer != file.flatbuffer:
        raise EurosatError(f"The FlatBuffer of {path} has changed: restore the file.")
    text = re.sub(r"(?s)## How sure it is.*?(?=## How it was made)", "", text)
    sections = _confidence(record) + _cost(path)
    text = text.replace("## How it was made", sections + "## How it was made")
    text = text.replace(f"{file.size_bytes:,} bytes", f"{renewed.size_bytes:,} bytes")
    write_text(card, text)


def _metadata(path: Path) -> ModelMetadata:
    metadata = read_model_file(path).metadata
    if metadata is None:
        raise EurosatError(f"{path} is not a file of eurosat-convert: name one that is.")
    return metadata


def _confidence(record: dict[str, Any]) -> str:
    """Return the section of the card on confidence."""
    test = record["test"]
    return CONFIDENCE.format(
        temperature=record["temperature"],
        before=test["ece_before"],
        after=test["ece_after"],
        unsure_below=record["unsure_below"],
        coverage=test["coverage"],
        sure=test["sure_accuracy"] or 0.0,
    )


def _cost(path: Path) -> str:
    """Return the section of the card on arithmetic."""
    cost = count_arithmetic(read_model_file(path))
    return COST.format(
        multiplications=cost.multiplications,
        parameters=cost.parameters,
        peak=cost.peak_activation_bytes,
        name=path.stem,
    )


def _training_command(training: dict[str, Any], run: str) -> str:
    words = training_command(TrainingConfiguration.from_json(training))
    return " ".join([*words, "--out", run])


def _gone_on_from(run: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return name, configuration and metrics of a run, then of that which it went on from."""
    if not run:
        return []
    config, metrics = (
        json.loads(Path(run, name).read_text(encoding="utf-8"))
        for name in ("config.json", "metrics.json")
    )
    training = config["training"]
    name = f"runs/{config.get('blend', {}).get('run') or Path(run).name}"
    return [(name, training, metrics), *_gone_on_from(training.get("from_run", ""))]


def _card(source: Path, metadata: ModelMetadata, report: dict[str, Any]) -> str:
    provenance = dict(metadata.provenance)
    test = report["test"]
    original, exported = test["original"], test["exported"]
    pairs = [
        ("accuracy", original["accuracy"], exported["accuracy"]),
        ("macro F1", original["macro_f1"], exported["macro_f1"]),
    ]
    pairs += [
        (f"recall {land_cover(name).title}", before, exported["recalls"][name])
        for name, before in original["recalls"].items()
    ]
    split = provenance["split"]
    views, option = "", ""
    if metadata.views > 1:
        views = f", both with the mean of {metadata.views} views"
        option = f" --views {metadata.views}"
    runs = _gone_on_from(str(source.parent))
    trained, _, metrics = runs[0]
    run = f"runs/{source.parent.resolve().name}"
    commands = [_training_command(told, name) for name, told, _ in reversed(runs)]
    if blend := provenance.get("blend"):
        commands.append(f"python tools/blend.py {trained} {run} {blend['share']:g}")
    commands.append(f"eurosat-convert {run} --{report['precision']}{option}")
    return CARD.format(
        title=metadata.title,
        description=metadata.description,
        class_count=len(original["recalls"]),
        size_bytes=report["size_bytes"],
        parameters=metrics["parameters"],
        tiles=test["tile_count"],
        views=views,
        rows="\n".join(
            f"| {name} | {before:.2%} | {after:.2%} | {100 * (after - before):+.2f} |"
            for name, before, after in pairs
        ),
        agreement=test["agreement"],
        drop=100 * test["drop"],
        low=100 * test["drop_low"],
        high=100 * test["drop_high"],
        p=test["mcnemar_p"],
        reserves="".join(f"\n{reserve}" for reserve in report.get("reserves", [])),
        validation=metrics["validation"]["accuracy"],
        confidence_and_cost=_confidence(report["calibration"]) + _cost(source),
        commands="\n".join(commands),
        epochs=" + ".join(str(judged["epochs"]) for _, _, judged in reversed(runs)),
        minutes=sum(judged["training_seconds"] for _, _, judged in runs) / 60,
        kept=metrics["kept_epoch"],
        data=split["train"] + split["validation"] + split["test"],
        fingerprint=provenance["data_fingerprint"][:16],
        split=f"{split['train']:,} / {split['validation']:,} / {split['test']:,}",
        seed=split["seed"],
        calibration=provenance["calibration_tiles"],
    )


if __name__ == "__main__":
    main()

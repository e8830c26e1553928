"""Ship a model: copy a proven model file into `models/` with its card and its checksum.

    python tools/ship_model.py RUN/mobilenet-int8.tflite

Every figure of the card is read from the files that `eurosat-train` and `eurosat-convert` wrote.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from eurosat.labels import land_cover
from eurosat.model_file import read_model_file

MODELS = Path(__file__).resolve().parent.parent / "models"

CARD = """# {title}

{description} Input: the raw uint8 RGB tile `[n, 64, 64, 3]`, 10 m on the ground
to a pixel. Output: float32 probabilities `[n, {class_count}]`. {size_bytes:,} bytes;
{parameters:,} parameters before quantisation. How fast it is stands in `docs/benchmarks.md`.

## How good it is

Measured once, on the test split of {tiles:,} tiles that neither training nor any choice had seen:
the Keras model, and this file on LiteRT.

| | Keras, float | this file | change |
| --- | --- | --- | --- |
{rows}

The two give the same answer on {agreement:.2%} of the tiles. The accuracy drop is {drop:.2f} points
(95 % interval {low:.2f} to {high:.2f}; McNemar's exact test p = {p:.2g}). On validation, which
chose the epoch, the Keras model reached {validation:.2%}.

## How it was made

```sh
{commands}
```

Trained for {epochs} epochs, {minutes:.0f} minutes on two cores that other work shared; epoch {kept}
was kept. Data: {data:,} tiles of EuroSAT RGB (Helber et al. 2019), fingerprint
`{fingerprint}`, split {split} with seed {seed}. Calibrated on {calibration} training
tiles. All of this is inside the file too, as `eurosat.json`.

## What it cannot do

It knows ten classes and names one of them for every picture, clouds, snow and cats included. It was
trained on European Sentinel-2 L1C tiles of one scaling (reflectance 0 to 0.275 is pixel 1 to 255);
pictures of other sensors, seasons or scalings may get confident wrong answers.
"""


def main() -> int:
    """Copy, write the card, and renew the list of checksums; return the exit status."""
    source = Path(sys.argv[1])
    metadata = read_model_file(source).metadata
    if metadata is None:
        print(f"{source} is not a file of eurosat-convert.", file=sys.stderr)
        return 2
    report = json.loads(source.with_suffix(".json").read_text(encoding="utf-8"))
    metrics = json.loads((source.parent / "metrics.json").read_text(encoding="utf-8"))
    shutil.copyfile(source, MODELS / source.name)
    (MODELS / f"{source.stem}.md").write_text(
        _card(metadata.title, metadata.description, report, metrics, dict(metadata.provenance)),
        encoding="utf-8",
    )
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(MODELS.glob("*.tflite"))
    ]
    (MODELS / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return 0


def _card(
    title: str,
    description: str,
    report: dict[str, Any],
    metrics: dict[str, Any],
    provenance: dict[str, Any],
) -> str:
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
    training, split = provenance["training"], provenance["split"]
    run = f"runs/{training['architecture']}"
    command = f"eurosat-train {training['architecture']} --epochs {training['epochs']} --out {run}"
    return CARD.format(
        title=title,
        description=description,
        class_count=len(original["recalls"]),
        size_bytes=report["size_bytes"],
        parameters=metrics["parameters"],
        tiles=test["tile_count"],
        rows="\n".join(
            f"| {name} | {before:.2%} | {after:.2%} | {100 * (after - before):+.2f} |"
            for name, before, after in pairs
        ),
        agreement=test["agreement"],
        drop=100 * test["drop"],
        low=100 * test["drop_low"],
        high=100 * test["drop_high"],
        p=test["mcnemar_p"],
        validation=metrics["validation"]["accuracy"],
        commands=f"{command}\neurosat-convert {run} --{report['precision']}",
        epochs=metrics["epochs"],
        minutes=metrics["training_seconds"] / 60,
        kept=metrics["kept_epoch"],
        data=split["train"] + split["validation"] + split["test"],
        fingerprint=provenance["data_fingerprint"][:16],
        split=f"{split['train']:,} / {split['validation']:,} / {split['test']:,}",
        seed=split["seed"],
        calibration=provenance["calibration_tiles"],
    )


if __name__ == "__main__":
    sys.exit(main())

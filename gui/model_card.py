"""The card of a model: what travels in its file."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, cast

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from eurosat.classifier import Classifier
from eurosat.labels import land_cover

from .class_texts import title_of
from .text_window import TextWindow


class ModelCard(TextWindow):
    """A window with the card of one model."""

    def __init__(self, classifier: Classifier, parent: QWidget) -> None:
        """Show the card of a model that is loaded."""
        super().__init__(_tr("Model card"), card_html(classifier), 90, 45, parent)


def card_html(classifier: Classifier) -> str:
    """Return the card as HTML, with whatever the file says; much of it others' files do not."""
    file, metadata = classifier.model_file, classifier.metadata
    height, width = classifier.input_size
    facts: list[tuple[str, str]] = [
        (_tr("File"), str(file.path)),
        (_tr("Size"), _tr("{count} bytes").format(count=_number(file.size_bytes))),
        (_tr("Input"), _tr("{width} × {height} pixels, RGB").format(width=width, height=height)),
    ]
    parts: list[str] = []
    if metadata is None:
        parts.append(_paragraph(_tr("This file says nothing about its accuracy or its data.")))
    else:
        parts.append(_paragraph(metadata.description))
        if metadata.ground_resolution_m:
            ground = _tr("{metres:g} m to a pixel").format(metres=metadata.ground_resolution_m)
            facts.append((_tr("On the ground"), ground))
        facts.append((_tr("Arithmetic"), metadata.precision))
        facts += _origin(metadata.provenance)
        parts.append(_accuracy(_object(metadata.accuracy, "test")))
        parts += map(_paragraph, _sentences(metadata.accuracy.get("reserves")))
        if metadata.unsure_below:
            test = _object(_object(metadata.accuracy, "calibration"), "test")
            parts.append(_confidence(metadata.unsure_below, test))
    facts.append(("SHA-256", file.sha256))
    classes = ", ".join(title_of(land_cover(name)) for name in classifier.class_names)
    facts.append((_tr("Classes"), classes))
    return "".join([f"<h2>{escape(file.title)}</h2>", *parts, _table(facts)])


def _origin(provenance: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Return what the file says of its data and its date."""
    split = _object(provenance, "split")
    if split:
        data = _tr("{train} tiles for training, {validation} for validation, {test} for test")
        yield (
            _tr("Data"),
            data.format(
                **{part: _number(split.get(part)) for part in ("train", "validation", "test")}
            ),
        )
    fingerprint = provenance.get("data_fingerprint")
    if isinstance(fingerprint, str):
        yield _tr("Fingerprint of the data"), fingerprint[:16]
    for key, title in (("trained", _tr("Trained")), ("converted", _tr("Converted"))):
        date = provenance.get(key)
        if isinstance(date, str):
            yield title, date[:10]


def _accuracy(test: dict[str, Any]) -> str:
    """Return the table of the accuracy on the test split, before and after conversion."""
    before, after = _object(test, "original"), _object(test, "exported")
    if not before or not after:
        return ""
    rows = [
        (_tr("Accuracy"), before.get("accuracy"), after.get("accuracy")),
        (_tr("Macro F1"), before.get("macro_f1"), after.get("macro_f1")),
    ]
    recalls = _object(before, "recalls")
    for name, recall in _object(after, "recalls").items():
        title = _tr("Recall {title}").format(title=title_of(land_cover(name)).lower())
        rows.append((title, recalls.get(name), recall))
    heading = _paragraph(
        _tr("Measured on {count} test tiles that neither training nor any choice had seen:").format(
            count=_number(test.get("tile_count"))
        )
    )
    head = f"<tr><th></th><th>{_tr('Before conversion')}</th><th>{_tr('This file')}</th></tr>"
    body = "".join(
        f"<tr><td>{escape(name)}</td><td align='right'>{_percent(first)}</td>"
        f"<td align='right'>{_percent(second)}</td></tr>"
        for name, first, second in rows
    )
    return f"{heading}<table cellpadding='3' cellspacing='0'>{head}{body}</table><br>"


def _confidence(unsure_below: float, test: dict[str, Any]) -> str:
    """Return what the file says of its own doubt."""
    sentence = _tr("Answers with less than {threshold:.1%} confidence are called unsure.").format(
        threshold=unsure_below
    )
    if test:
        sentence += " " + _tr(
            "On the test tiles, {coverage} of the answers were sure, and {accuracy} of these right."
        ).format(
            coverage=_percent(test.get("coverage")), accuracy=_percent(test.get("sure_accuracy"))
        )
    return _paragraph(sentence) + "<br>"


def _table(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><td><b>{escape(name)}</b></td><td>{escape(value)}</td></tr>" for name, value in facts
    )
    return f"<table cellpadding='3' cellspacing='0'>{rows}</table>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _sentences(value: object) -> list[str]:
    """Return the texts in a list that a file holds; nothing if it is no list."""
    found = cast("list[Any]", value) if isinstance(value, list) else []
    return [sentence for sentence in found if isinstance(sentence, str)]


def _object(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a part that is an object; an empty one where it is missing or something else."""
    value = parent.get(key)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _percent(value: Any) -> str:
    """Return a share in percent; a file may hold any number, even one that is no float."""
    return f"{value:.2%}" if isinstance(value, int | float) and 0 <= value <= 1 else "-"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "-"


def _tr(text: str) -> str:
    return QCoreApplication.translate("ModelCard", text)

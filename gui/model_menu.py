"""The menu of models: those that shipped, the one in use, and any other file."""

from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QActionGroup
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from eurosat.classifier import Classifier
from eurosat.errors import EurosatError
from eurosat.model_file import (
    ModelFile,
    read_model_file,
    shipped_model_names,
    shipped_model_path,
)


class ModelMenu(QMenu):
    """Chooses a model.

    Attributes:
        chosen: Signal with the path of a model file.
        card_wanted: Signal: the card of the model in use is to be shown.
    """

    chosen = Signal(Path)
    card_wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        """Offer what shipped; nothing is in use yet."""
        super().__init__(parent)
        self.setTitle(self.tr("&Model"))
        self._in_use: ModelFile | None = None
        self._models = QActionGroup(self)
        # Titles stand in the files. They are read when the menu is opened, not at every start.
        self.aboutToShow.connect(self._fill)

    def set_in_use(self, classifier: Classifier) -> None:
        """Mark the model that answers."""
        self._in_use = classifier.model_file

    def _fill(self) -> None:
        for action in self._models.actions():
            self._models.removeAction(action)
        self.clear()
        titles = {path: _title_of(path) for path in map(shipped_model_path, shipped_model_names())}
        in_use = self._in_use
        if in_use is not None:
            titles[in_use.path] = in_use.title
        for path, title in titles.items():
            # The menu's own, so that `clear` deletes it.
            action = self.addAction(title.replace("&", "&&"))
            action.setActionGroup(self._models)
            action.setCheckable(True)
            action.setChecked(in_use is not None and path == in_use.path)
            action.triggered.connect(partial(self.chosen.emit, path))
        self.addSeparator()
        self.addAction(self.tr("Open a &model file…"), self._ask)
        card = self.addAction(self.tr("Model &card"), self.card_wanted.emit)
        card.setEnabled(self._in_use is not None)

    def _ask(self) -> None:
        start = str(self._in_use.path.parent) if self._in_use else ""
        name, _ = QFileDialog.getOpenFileName(
            self, self.tr("Open a model file"), start, self.tr("Models (*.tflite);;All files (*)")
        )
        if name:
            self.chosen.emit(Path(name))


def _title_of(path: Path) -> str:
    """Return the title that a model file gives itself, or its name."""
    try:
        return read_model_file(path).title
    except EurosatError:
        return path.name

"""The menu of exports: the table as a file, the picture of one image, copies sorted by class."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QMenu, QMessageBox, QWidget

from eurosat.atomic import replacing
from eurosat.errors import EurosatError, cannot_be_written
from eurosat.existence import exists
from eurosat.results import Answer, write_csv, write_json

from .picture import draw_report
from .session import Session
from .settings import Settings
from .sorted_copies import copy_sorted
from .tasks import Task
from .workspace import Item


def answers_of(items: list[Item]) -> list[Answer]:
    """Return images with what was found, without those that have no answer yet."""
    return [(item.location, item.outcome) for item in items if item.outcome is not None]


class ExportMenu(QMenu):
    """Writes what the table shows, or the image that is looked at.

    Attributes:
        begun: Signal: something is to be written.
        done: Signal with a sentence on what was written.
        refused: Signal with a sentence on what could not be written.
        copy_picture: Copies the report of the image, as a picture.
    """

    begun = Signal()
    done = Signal(str)
    refused = Signal(str)

    def __init__(
        self,
        session: Session,
        settings: Settings,
        shown_items: Callable[[], list[Item]],
        current: Callable[[], tuple[Item, QImage] | None],
        parent: QWidget,
    ) -> None:
        """Make the entries.

        Args:
            session: Where the answers are.
            settings: Where file dialogs begin.
            shown_items: Returns the images that the table shows.
            current: Returns the image that is looked at and its picture, if there is one.
            parent: The window.
        """
        super().__init__(parent)
        self.setTitle(self.tr("&Export"))
        self._session = session
        self._settings = settings
        self._shown_items = shown_items
        self._current = current
        self._of_table = [
            self._add(self.tr("Table as &CSV…"), self._write_csv),
            self._add(self.tr("Table as &JSON…"), self._write_json),
            self._add(self.tr("Copies &sorted into class folders…"), self._copy_sorted),
        ]
        self.addSeparator()
        self.save_picture = self._add(self.tr("&Picture of this image…"), self._save_picture)
        self.copy_picture = self._add(self.tr("Copy pict&ure"), self._copy_picture)
        self.copy_picture.setShortcut("Ctrl+Shift+C")
        self.update_enabled(are_rows_seen=False)

    def update_enabled(self, *, are_rows_seen: bool) -> None:
        """Offer only what is possible now.

        Args:
            are_rows_seen: Whether the table is on screen and shows an image.
        """
        has_answers = are_rows_seen and self._session.workspace.answered > 0
        for action in self._of_table:
            action.setEnabled(has_answers)
        has_picture = are_rows_seen and self._report_source() is not None
        self.save_picture.setEnabled(has_picture)
        self.copy_picture.setEnabled(has_picture)

    def _add(self, text: str, write: Callable[[], None]) -> QAction:
        action = self.addAction(text, self.begun.emit)
        action.triggered.connect(write)
        return action

    def _write_csv(self) -> None:
        # Before the dialog: another model may have come behind it.
        classifier, answers = self._session.classifier, self._shown_answers()
        if not answers:
            return
        path = self._ask_for_file(self.tr("Export the table"), "results.csv", "CSV (*.csv)")
        if path and classifier:
            self._write(path, lambda: write_csv(path, classifier.class_names, answers), answers)

    def _write_json(self) -> None:
        classifier, answers = self._session.classifier, self._shown_answers()
        if not answers:
            return
        path = self._ask_for_file(self.tr("Export the table"), "results.json", "JSON (*.json)")
        if path and classifier:
            top = len(classifier.class_names)
            self._write(path, lambda: write_json(path, answers, top), answers)

    def _shown_answers(self) -> list[Answer]:
        """Return what is to be written of the table; if that is nothing, say so."""
        answers = answers_of(self._shown_items())
        if not answers:
            self.refused.emit(
                self.tr("No image that the table shows has an answer yet: wait, or show others.")
            )
        return answers

    def _write(self, path: Path, work: Callable[[], None], answers: list[Answer]) -> None:
        def tell(_: None) -> None:
            count = len(answers)
            text = self.tr("{count:,} rows are in {path}.")
            if count == 1:
                text = self.tr("1 row is in {path}.")
            self.done.emit(text.format(count=count, path=path))

        task = Task(lambda _: work(), self._session)
        task.finished.connect(tell)
        self._session.start(task)

    def _copy_sorted(self) -> None:
        items = [item for item in self._shown_items() if item.cover is not None]
        if not items:
            self.refused.emit(
                self.tr("No image that the table shows has a class to be sorted by: show others.")
            )
            return
        name = QFileDialog.getExistingDirectory(
            self, self.tr("Copy into class folders in"), self._settings.export_folder
        )
        if not name:
            return
        self._settings.export_folder = name
        folder = Path(name)

        def work(task: Task) -> None:
            count = copy_sorted(items, folder, is_cancelled=lambda: task.is_cancelled)
            text = self.tr("{count:,} copies are in {path}.")
            if count == 1:
                text = self.tr("1 copy is in {path}.")
            if task.is_cancelled:
                text = self.tr("Stopped: {count:,} of {all:,} copies are in {path}.")
            self.done.emit(text.format(count=count, all=len(items), path=folder))

        self._session.start(Task(work, self._session), cancellable=True)

    def _save_picture(self) -> None:
        source = self._report_source()
        if source is None:
            return
        report = self._draw(*source)
        stem = Path(source[0].name).stem
        path = self._ask_for_file(self.tr("Save the picture"), f"{stem}-report.png", "PNG (*.png)")
        if path:
            try:
                save_png(report, path)
            except EurosatError as error:
                self.refused.emit(str(error))
            else:
                self.done.emit(self.tr("The picture is in {path}.").format(path=path))

    def _copy_picture(self) -> None:
        source = self._report_source()
        if source is not None:
            QGuiApplication.clipboard().setImage(self._draw(*source))
            self.done.emit(self.tr("The picture is on the clipboard."))

    def _report_source(self) -> tuple[Item, QImage] | None:
        current = self._current()
        return current if current and current[0].cover is not None else None

    def _draw(self, item: Item, picture: QImage) -> QImage:
        return draw_report(picture, item, self._session.model_title)

    def _ask_for_file(self, title: str, name: str, kind: str) -> Path | None:
        """Ask for a file to write to; a name typed without the right ending gets it."""
        chosen, _ = QFileDialog.getSaveFileName(
            self, title, str(Path(self._settings.export_folder) / name), kind
        )
        if not chosen:
            return None
        path = Path(chosen)
        self._settings.export_folder = str(path.parent)
        ending = Path(name).suffix
        if path.suffix.lower() == ending:
            return path
        # The dialog asks before a file is replaced, but it knew another name.
        path = path.with_name(path.name + ending)
        return path if not exists(path) or self._may_replace(path) else None

    def _may_replace(self, path: Path) -> bool:
        buttons = QMessageBox.StandardButton
        asked = QMessageBox.question(
            self,
            self.tr("Replace a file"),
            self.tr("{path} exists: replace it?").format(path=path),
            buttons.Yes | buttons.No,
            buttons.No,
        )
        return asked == buttons.Yes


def save_png(picture: QImage, path: Path) -> None:
    """Write a picture as PNG, whole or not at all.

    Raises:
        EurosatError: The file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            if not picture.save(str(temporary), "PNG"):  # pyright: ignore - takes str, says bytes
                raise OSError(0, "no space, or no permission")
    except OSError as error:
        raise cannot_be_written(path, error) from error

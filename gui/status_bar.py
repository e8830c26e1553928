"""The line at the bottom: what is open, how far it has come, and what was done last."""

from typing import Final

from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QStatusBar, QWidget

from .one_line import OneLine
from .scene_work import SceneWork, Stage
from .session import Session
from .time_texts import time_left

_WIDEST_BAR: Final = 220
_MILLISECONDS_OF_A_SENTENCE: Final = 8000


class StatusBar(QStatusBar):
    """Tells what is open, and lets it be stopped and gone on with."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        """Tell nothing yet.

        Args:
            session: What is told of.
            parent: The window.
        """
        super().__init__(parent)
        self._session = session
        self._explaining_text = self.tr("Finding out which pixels decided…")
        # The latest sentence on the image that is looked at.
        self._of_image = ""
        self._facts = OneLine(self)
        self._progress = QProgressBar(self)
        self._progress.setMaximumWidth(_WIDEST_BAR)
        self._progress.setAccessibleName(self.tr("Progress"))
        self._time_left = QLabel(self)
        self._cancel = QPushButton(self.tr("Cancel"), self)
        self._cancel.clicked.connect(session.cancel)
        self._resume = QPushButton(self.tr("Go on"), self)
        self._resume.clicked.connect(session.resume)
        self.setContentsMargins(6, 0, 6, 0)
        self.addWidget(self._facts, 1)
        for widget in (self._time_left, self._progress, self._resume, self._cancel):
            self.addPermanentWidget(widget)

    def tell(self, sentence: str) -> None:
        """Tell what was done, for a while."""
        self.showMessage(sentence, _MILLISECONDS_OF_A_SENTENCE)

    def tell_of_image(self, sentence: str) -> None:
        """Tell something of the image that is looked at, for a while.

        Args:
            sentence: What to tell; an empty one takes back what was told of the image before.
        """
        if sentence:
            self.tell(sentence)
        elif self.currentMessage() == self._of_image:
            self.clearMessage()
        self._of_image = sentence

    def tell_of_explaining(self, is_explaining: bool) -> None:
        """Tell that it is being found out which pixels decided, as long as it is."""
        if is_explaining:
            self.showMessage(self._explaining_text)
        elif self.currentMessage() == self._explaining_text:
            self.clearMessage()

    def show_progress(self, shown: int, scene: SceneWork | None, *, is_scene_seen: bool) -> None:
        """Show what is open and how far it has come.

        Args:
            shown: How many images the filter shows.
            scene: The scene that is open, if there is one.
            is_scene_seen: Whether its page is shown, which tells how far its map has come.
        """
        session, waiting = self._session, self._session.workspace.waiting
        answered, awaited = session.workspace.answered, session.awaited
        seconds = session.pace.seconds_each if session.pace else None
        self._facts.setText(" · ".join(self._facts_of(shown, scene, is_scene_seen, seconds)))
        self._progress.setVisible(session.is_busy)
        self._cancel.setVisible(session.is_busy)
        self._time_left.setVisible(session.is_running and seconds is not None)
        self._resume.setVisible(bool(waiting) and not session.is_busy and bool(session.classifier))
        self._progress.setMaximum(answered + awaited if session.is_running else 0)
        self._progress.setValue(answered)
        if seconds is not None:
            self._time_left.setText(time_left(seconds * awaited))
        if not session.is_explaining:
            self.tell_of_explaining(False)

    def _facts_of(
        self, shown: int, scene: SceneWork | None, is_scene_seen: bool, seconds: float | None
    ) -> list[str]:
        session, workspace = self._session, self._session.workspace
        total, waiting = len(workspace.items), workspace.waiting
        facts = [self.tr("1 image")] if total == 1 else []
        if total > 1:
            facts.append(self.tr("{count:,} images").format(count=total))
        if scene is not None:
            facts.append(self.tr("1 scene") if is_scene_seen else self._scene_in_words(scene))
        if total != shown:
            facts.append(self.tr("{count:,} shown").format(count=shown))
        if workspace.unreadable:
            facts.append(self.tr("{count:,} could not be read").format(count=workspace.unreadable))
        if waiting and not session.is_running:
            facts.append(self.tr("{count:,} not classified").format(count=waiting))
        if seconds is not None:
            facts.append(self.tr("{time:.1f} ms per image").format(time=1000 * seconds))
        if session.classifier is not None:
            facts.append(session.model_title)
        return [*facts, self.tr("offline")]

    def _scene_in_words(self, work: SceneWork) -> str:
        """Say that there is a scene, and how far its map has come."""
        share = work.windows_done / work.window_count if work.window_count else 0
        texts = {
            Stage.MAPPING: self.tr("1 scene, {share:.0%} mapped"),
            Stage.STOPPED: self.tr("1 scene, map stopped at {share:.0%}"),
            Stage.WRITING: self.tr("1 scene, map being written"),
            Stage.FINISHED: self.tr("1 scene, mapped"),
        }
        text = texts.get(work.stage, self.tr("1 scene")).format(share=share)
        if work.stage is Stage.MAPPING and work.seconds_left is not None:
            text += f", {time_left(work.seconds_left)}"
        return text

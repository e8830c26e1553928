"""The tool bar: what is used most, the model that answers, and the strength of the heat map."""

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMenu, QSlider, QToolBar, QToolButton, QWidget

from .actions import Actions

_WIDTH_OF_SLIDER: Final = 110


class ToolBar(QToolBar):
    """The bar below the menus.

    Attributes:
        heat_opacity_changed: Signal with the strength of the heat map, in percent.
    """

    heat_opacity_changed = Signal(int)

    def __init__(
        self, actions: Actions, model: QMenu, export: QMenu, heat_opacity: int, parent: QWidget
    ) -> None:
        """Fill the bar.

        Args:
            actions: What can be done.
            model: The menu of models.
            export: The menu of exports.
            heat_opacity: The strength of the heat map, in percent.
            parent: The window.
        """
        super().__init__(parent)
        self.setWindowTitle(self.tr("Tools"))
        self.setObjectName("tools")
        self.setMovable(False)
        heat = QSlider(Qt.Orientation.Horizontal, self)
        heat.setRange(0, 100)
        heat.setValue(heat_opacity)
        heat.setFixedWidth(_WIDTH_OF_SLIDER)
        heat.setAccessibleName(self.tr("Strength of the heat map"))
        heat.setToolTip(self.tr("Strength of the heat map"))
        heat.valueChanged.connect(self.heat_opacity_changed)
        self._model = _menu_button(model, self.tr("Model: loading"), self)
        self.addActions(
            [actions.open_images, actions.open_folder, actions.open_scene, actions.show_scene]
        )
        self.addSeparator()
        self.addAction(actions.explain)
        # Of use together with a heat map alone.
        heat_action = self.addWidget(heat)
        heat_action.setVisible(False)
        actions.explain.toggled.connect(heat_action.setVisible)
        actions.explain.enabledChanged.connect(heat_action.setEnabled)
        self.addSeparator()
        self.addWidget(_menu_button(export, self.tr("Export"), self))
        # At the end, where it does not push others out of a narrow bar: it is in the menu, too.
        self.addSeparator()
        self.addWidget(self._model)
        self.addAction(actions.show_card)
        for button in map(self.widgetForAction, self.actions()):
            if isinstance(button, QToolButton):
                button.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def show_model(self, title: str) -> None:
        """Tell which model answers."""
        self._model.setText(self.tr("Model: {title}").format(title=title))


def _menu_button(menu: QMenu, text: str, parent: QWidget) -> QToolButton:
    button = QToolButton(parent)
    button.setMenu(menu)
    button.setText(text)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    return button

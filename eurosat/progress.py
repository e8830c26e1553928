"""How long work tells whoever waits for it how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is: tiles, windows or steps."""

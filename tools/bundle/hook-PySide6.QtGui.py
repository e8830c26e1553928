"""Takes the place of PyInstaller's own hook, to leave out plugins and what they would bring."""

from pathlib import Path

from PyInstaller.utils.hooks.qt import (  # pyright: ignore[reportMissingImports]
    add_qt6_dependencies,
)

UNUSED = {
    # Screens without a desktop.
    "egldeviceintegrations": [""],
    "generic": [""],
    "platforms": ["eglfs", "linuxfb", "minimal", "vkkhrdisplay", "vnc"],
    # Pillow reads the images; Qt draws the icon and pastes.
    "imageformats": ["gif", "icns", "ico", "tga", "tiff", "wbmp", "webp"],
    # The GTK of this machine would not fit the libraries of another one.
    "platformthemes": ["gtk"],
}


def _is_used(plugin: str) -> bool:
    file = Path(plugin)
    return not any(name in file.name for name in UNUSED.get(file.parent.name, []))


hiddenimports, binaries, datas = add_qt6_dependencies(__file__)
binaries = [entry for entry in binaries if _is_used(entry[0])]

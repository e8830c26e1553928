"""What Qt needs of a Linux machine and pip cannot bring: a screen and some system libraries.

It imports nothing of the package, so that `tools/run.py` can ask before anything is installed.
"""

from __future__ import annotations  # So that an older Python gets as far as being told so.

import ctypes
import os
import sys

# Library: package on Debian and Ubuntu, package on Fedora.
EVERYWHERE = {
    "libEGL.so.1": ("libegl1", "libglvnd-egl"),
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libdbus-1.so.3": ("libdbus-1-3", "dbus-libs"),
    "libfontconfig.so.1": ("libfontconfig1", "fontconfig"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libX11.so.6": ("libx11-6", "libX11"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
}
ON_WAYLAND = {
    "libwayland-client.so.0": ("libwayland-client0", "libwayland-client"),
    "libwayland-cursor.so.0": ("libwayland-cursor0", "libwayland-cursor"),
}
ON_X11 = {
    "libX11-xcb.so.1": ("libx11-xcb1", "libX11-xcb"),
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms"),
    "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11"),
}


def obstacle(way_out: str) -> str | None:
    """Tell why no Qt window can open here.

    Args:
        way_out: What to do instead, such as "`make demo` shows the main job".

    Returns:
        One sentence, or None where nothing stands in the way.
    """
    if not sys.platform.startswith("linux"):
        return None
    needed = dict(EVERYWHERE)
    if not os.environ.get("QT_QPA_PLATFORM"):  # Whoever sets it has chosen a screen.
        if os.environ.get("WAYLAND_DISPLAY"):
            needed.update(ON_WAYLAND)
        elif os.environ.get("DISPLAY"):
            needed.update(ON_X11)
        else:
            return (
                "The desktop app needs a screen, and neither DISPLAY nor WAYLAND_DISPLAY is set"
                f" here; {way_out}."
            )
    packages = missing(needed)
    if not packages:
        return None
    debian = " ".join(names[0] for names in packages)
    fedora = " ".join(names[1] for names in packages)
    return (
        "The desktop app needs system libraries that are missing here; install them with"
        f" `sudo apt install {debian}` on Debian or Ubuntu, or `sudo dnf install {fedora}` on"
        f" Fedora; meanwhile, {way_out}."
    )


def missing(libraries: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the packages, on Debian and on Fedora, of the libraries that are not here."""
    return [packages for library, packages in libraries.items() if not _loads(library)]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True

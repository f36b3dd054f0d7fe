# SPDX-License-Identifier: GPL-2.0
"""sway draws its screen into buffers of wlroots' udmabuf allocator, and grim takes a picture of it."""

import random
from pathlib import Path

from clientlib.guest import trial

TITLE = "sway, wlroots' udmabuf allocator"
PACKAGES = ("sway", "swaybg", "grim", "mesa-vulkan-drivers", "python3-pil")
VERSION_OF = "sway"
WIDTH, HEIGHT = 640, 480
FOLDER = Path("/tmp/sway")
ENVIRONMENT = {"WLR_BACKENDS": "headless", "WLR_RENDERER": "vulkan", "WLR_LIBINPUT_NO_DEVICES": "1",
               "WLR_RENDERER_FORCE_SOFTWARE": "1", "VK_LOADER_DRIVERS_SELECT": "*lvp*"}
SOCKET = Path("/run/user/0/wayland-1")
PATIENCE = 60


def _show(_driver):
    from PIL import Image

    FOLDER.mkdir(exist_ok=True)
    # The renderer, which reckons in amounts of light, rounds the darkest colours to black.
    wanted = bytes(value | 8 for value in random.Random(1).randbytes(3 * WIDTH * HEIGHT))
    Image.frombytes("RGB", (WIDTH, HEIGHT), wanted).save(FOLDER / "picture.png")
    (FOLDER / "config").write_text(f"output * mode {WIDTH}x{HEIGHT}@60Hz\noutput * bg {FOLDER}/picture.png center\n")
    with open(FOLDER / "log", "wb") as log, \
            trial.started("sway", "-d", "-c", FOLDER / "config", environment=ENVIRONMENT, stdout=log) as child:
        trial.wait_for(SOCKET.exists, "socket of sway", seconds=PATIENCE, child=child, log=FOLDER / "log")
        shown = b""
        for _ in range(30):
            trial.run("grim", FOLDER / "shown.png", environment={"WAYLAND_DISPLAY": SOCKET.name})
            with Image.open(FOLDER / "shown.png") as image:
                size, shown = image.size, image.convert("RGB").tobytes()
            if shown == wanted:
                break
    said = (FOLDER / "log").read_text(errors="replace")
    if size != (WIDTH, HEIGHT):
        raise trial.Wrong(f"a screen of {size}\n{said[-1500:]}")
    trial.equal(shown, wanted, "pixels", size=3)
    if "udmabuf" not in said:
        raise trial.Wrong(f"another allocator was used\n{said[-1500:]}")
    return f"{WIDTH * HEIGHT} pixels"


TRIALS = {"a picture on the screen": _show}

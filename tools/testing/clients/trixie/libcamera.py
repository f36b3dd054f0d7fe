# SPDX-License-Identifier: GPL-2.0
"""libcamera's virtual camera allocates its frames as buffers, where there is no heap."""

from pathlib import Path

from clientlib.guest import trial

TITLE = "libcamera, virtual camera"
PACKAGES = ("libcamera-tools", "libcamera-ipa")
VERSION_OF = "libcamera-tools"
FRAMES = 8
WIDTH, HEIGHT = 640, 480
CONFIGURATION = f"""%YAML 1.1
---
"Virtual0":
  supported_formats:
  - width: {WIDTH}
    height: {HEIGHT}
    frame_rates:
    - 30
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "bars"
"""
# Directory of the configuration, and the heaps, which libcamera prefers to the node.
PLACE, HEAPS = "/usr/share/libcamera/pipeline/virtual", "/dev/dma_heap"


def _capture(_driver):
    Path("/tmp/virtual.yaml").write_text(CONFIGURATION)
    script = (f"mount -t tmpfs none {PLACE} && cp /tmp/virtual.yaml {PLACE} && mount -t tmpfs none {HEAPS} && "
              f"exec cam -c 1 -s width={WIDTH},height={HEIGHT},pixelformat=NV12 --capture={FRAMES} --file=/tmp/frame-#.bin")
    output = trial.run("unshare", "-m", "sh", "-c", script, environment={"LIBCAMERA_LOG_LEVELS": "*:DEBUG"})
    if "Using /dev/udmabuf" not in output:
        raise trial.Wrong(output)
    frames = [path.read_bytes() for path in sorted(Path("/tmp").glob("frame-*.bin"))]
    if len(frames) != FRAMES:
        raise trial.Wrong(f"{len(frames)} frames")
    lines = [frame[:WIDTH] for frame in frames]
    for number, (frame, line) in enumerate(zip(frames, lines)):
        if len(frame) != WIDTH * HEIGHT * 3 // 2:
            raise trial.Wrong(f"a frame of {len(frame)} bytes")
        trial.equal(frame[:WIDTH * HEIGHT], line * HEIGHT, f"pixels of frame {number} from its first line")
        if len(set(line)) < 6:
            raise trial.Wrong(f"{len(set(line))} bars")
    # The bars move to the left from one frame to the next, each time as far.
    steps = {next((step for step in range(WIDTH) if before[step:] + before[:step] == after), None)
             for before, after in zip(lines, lines[1:])}
    if len(steps) != 1 or steps & {None, 0}:
        raise trial.Wrong(f"the bars move by {steps}")
    return f"{FRAMES} frames of {WIDTH * HEIGHT} pixels: bars that move"


TRIALS = {f"{FRAMES} frames into buffers": _capture}

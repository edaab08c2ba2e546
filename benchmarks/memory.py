"""Memory of a whole training command on 100,000 JPEG files of 64x64, beyond what torch alone takes for such steps.

The store is mapped, so its pages belong to the system's cache; what counts is the anonymous memory of the process
(RssAnon, Linux), read after every event from the first file opened to the fortieth step. Torch's own is read in the same
process before, after three steps of the same network and batch on zeros. The images are tiles of clothing photos.

Command: uv run python benchmarks/memory.py. Takes about three minutes on two cores and 1.7 GB of disk.
"""

import os
import tempfile
from itertools import count
from pathlib import Path

import torch
from measure import DATA, keep
from PIL import Image

from saccade import commands
from saccade.events import Progress
from saccade.tasks import classify
from saccade.training.steps import Trainer
from saccade.zoo import find

IMAGES, SIDE, BATCH, STEPS = 100_000, 64, 64, 40


def anonymous() -> int:
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def write_tiles(folder: Path) -> None:
    """As many tiles of real photos as are wanted, in the class folders of their photos."""
    photos = sorted((DATA / "clothing-small").rglob("*.jpg"))
    number = count()
    for shift in count(0, 5):
        for photo in photos:
            target = folder / photo.parent.name
            target.mkdir(exist_ok=True)
            with Image.open(photo) as image:
                pixels = image.convert("RGB")
            for top in range(shift, pixels.height - SIDE, SIDE):
                for left in range(shift, pixels.width - SIDE, SIDE):
                    if (i := next(number)) == IMAGES:
                        return
                    pixels.crop((left, top, left + SIDE, top + SIDE)).save(target / f"{i}.jpg", quality=80)


def torch_alone() -> None:
    network = find("resnet20").build(10, 3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    trainer = Trainer(
        network, optimizer, classify.loss, classify.correct, lambda: torch.autocast("cpu", torch.bfloat16), BATCH
    )
    for _ in trainer.steps([(torch.zeros(BATCH, 3, SIDE, SIDE), torch.zeros(BATCH, dtype=torch.long))] * 3):
        pass


def main() -> None:
    torch_alone()
    before, most = anonymous(), {"data": 0, "training": 0}
    with tempfile.TemporaryDirectory() as place:
        os.environ["SACCADE_CACHE"] = f"{place}/cache"
        (photos := Path(place) / "photos").mkdir()
        write_tiles(photos)
        work = commands.train(photos, f"{place}/run", network="resnet20", batch=BATCH, images={"size": SIDE}, epochs=1)
        for event in work:
            phase = "training" if isinstance(event, Progress) and event.what.startswith("epoch") else "data"
            most[phase] = max(most[phase], anonymous() - before)
            if phase == "training" and event.done == STEPS:
                break
        work.close()
    keep(
        "memory",
        {
            "what": "anonymous memory of `saccade train` on 100,000 files of 64x64, ResNet-20, beyond torch's own",
            "store_bytes": IMAGES * SIDE * SIDE * 3,
            "beyond_torch_bytes": most,
            "steps": STEPS,
            "batch": BATCH,
        },
    )


if __name__ == "__main__":
    main()

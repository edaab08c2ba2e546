"""The recipes that come with the package, each on the data that its text names: test score with its interval, and seconds.

Command: uv run python benchmarks/named_recipes.py [NAME ...] (resnet20-cifar10 is by far the longest).
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import DATA, RESULTS, keep

from saccade import commands
from saccade.display import show

FOLDERS = {
    "lenet5-mnist": "fashion-mnist",
    "mobilenet-photos": "clothing-small",
    "resnet18-photos": "clothing-small",
    "resnet20-cifar10": "cifar-10",
}


def trained(name: str) -> dict[str, Any]:
    place = Path(tempfile.mkdtemp()) / "run"
    record = show(commands.train(DATA / FOLDERS[name], place, name))
    score = record["scores"]["test"]["accuracy"]
    return {"data": FOLDERS[name], "test accuracy": score, "seeds": 1, "seconds": round(record["seconds"])}


def main() -> None:
    file = RESULTS / "named_recipes.json"
    found = json.loads(file.read_text())["recipes"] if file.is_file() else {}
    for name in sys.argv[1:] or FOLDERS:
        found[name] = trained(name)
        keep("named_recipes", {"what": "recipes by name, from the command to the record", "n": 1, "recipes": found})


if __name__ == "__main__":
    main()

"""The table of all networks that exist."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from saccade import zoo
from saccade.data.cache import cache_folder
from saccade.inspection.trace import recorded
from saccade.writing import write_text
from saccade.zoo import NETWORKS, Entry


def listed() -> list[dict[str, Any]]:
    """One row for each network. Counting takes some seconds, so that the counts are kept in the cache folder."""
    kept = cache_folder() / f"networks-{stamp()}.json"
    try:
        return json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        rows = [row(name, entry) for name, entry in NETWORKS.items()]
        with suppress(Exception):  # a cache that cannot be written costs the counting next time
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_text(kept, json.dumps(rows))
        return rows


def stamp() -> str:
    """Changes with the code that the counts come from."""
    state = hashlib.blake2b(torch.__version__.encode(), digest_size=8)
    for folder in (Path(zoo.__file__).parent, Path(__file__).parent, Path(zoo.__file__).parents[1] / "layers"):
        for file in sorted(folder.glob("*.py")):
            state.update(file.read_bytes())
    return state.hexdigest()


def row(name: str, entry: Entry) -> dict[str, Any]:
    classes = 1000 if entry.size > 64 else 10
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = entry.build(classes, entry.channels).eval()
    ops = recorded(network, torch.empty(1, entry.channels, entry.size, entry.size, device="meta"))
    return {
        "network": name,
        "parameters": sum(p.numel() for p in network.parameters()),
        "macs": sum(op.macs for op in ops),
        "input": [entry.channels, entry.size, entry.size],
        "classes": classes,
        "options": list(entry.choices()),
        "paper": entry.paper,
    }

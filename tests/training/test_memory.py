"""Training under a real limit of memory, set by the system on a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# The limit lies far from both: a whole batch of 384 images takes about 4 GB, a quarter of it 1 GB
SCRIPT = """
import json, re, resource, sys
import saccade
words = dict(images={"size": 64}, batch=384, epochs=1, plan={"precision": "fp32", "channels_last": True})
saccade.train(sys.argv[1], network="resnet20", out=sys.argv[2] + "/small", **{**words, "batch": 16})
size = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 2_000_000_000,) * 2)
record = saccade.train(sys.argv[1], network="resnet20", out=sys.argv[2] + "/limited", **words)
print(json.dumps({"notes": record["notes"], "plan": record["plan"]["micro_batch"], "epochs": record["epochs"]["trained"]}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
def test_a_batch_that_does_not_fit_goes_through_in_parts(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(data / "clothing-small"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["epochs"] == 1
    assert record["plan"] in (192, 96, 48, 24)
    assert record["notes"][0].startswith("out of memory: ")
    assert "gradients added up to the same batch of 384" in record["notes"][0]

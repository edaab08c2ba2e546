"""Exact resume under other plans: 16 bits, batch norm, kernels of our own. Apart, so that two workers share the time."""

import json
import signal
from pathlib import Path

from experiment.test_resume import equal, finished, kill_after, saccade

from saccade.cli import main


def test_batch_norm_mirroring_momentum_and_16_bits_resume_exactly(tmp_path: Path) -> None:
    words = "--network resnet20 --epochs 1 --batch 64 --augment.flip true --plan.precision bf16".split()
    words += "--plan.channels_last true --plan.device cpu --checkpoint.seconds 0 --json".split()
    assert main(["train", "digits", *words, "--out", str(tmp_path / "whole")]) == 0
    kill_after(tmp_path / "killed", 9, signal.SIGKILL, words)
    finished(saccade("resume", str(tmp_path / "killed"), "--json"))
    assert equal(tmp_path / "killed", tmp_path / "whole")


def test_an_images_last_run_resumes_exactly(tmp_path: Path) -> None:
    words = "--network lenet5 --images.size 28 --epochs 1 --plan.images_last true --checkpoint.seconds 0 --json".split()
    assert main(["train", "digits", *words, "--out", str(tmp_path / "whole")]) == 0
    kill_after(tmp_path / "killed", 9, signal.SIGKILL, words)
    finished(saccade("resume", str(tmp_path / "killed"), "--json"))
    assert equal(tmp_path / "killed", tmp_path / "whole")
    assert json.loads((tmp_path / "whole" / "record.json").read_text())["plan"]["images_last"] is True

"""The command line: what bad input gets. One or two lines, no traceback, exit code 2."""

import errno
import io
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import saccade
from saccade import InputError, commands
from saccade.cli import main
from saccade.cli.parsing import nested
from saccade.display import text
from saccade.events import Epoch, Event, Note, Progress, finish
from saccade.experiment import run as experiment_run
from saccade.experiment.curves import words_of
from saccade.experiment.race import row_in_words
from saccade.experiment.recipe import field_names, make_recipe
from saccade.experiment.run import one_class
from saccade.inspection import listing
from saccade.training import checkpoint
from saccade.training.plan import Plan
from saccade.zoo import NETWORKS

BASE = ["train", "digits", "--network", "lenet5", "--images.size", "28", "--epochs", "1"]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("saccade: ")
    assert not last.startswith("saccade: saccade")
    assert "Traceback" not in err
    return last


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["trian"], 'no command "trian", did you mean "train"?'),
        (["train"], "no data"),
        (["train", "digits", "--network", "resnet81"], 'no network "resnet81", did you mean "resnet18"?'),
        (["train", "digits", "--network", "resnet21"], 'no network "resnet21", did you mean "resnet20"?'),
        (["train", "digits", "--batch_size", "8"], 'no option "--batch_size", did you mean "--batch"?'),
        (["train", "digits", "--optimizer.learning_rate", "1"], 'did you mean "--optimizer.lr"?'),
        (["train", "digits", "--optimiser.lr", "1"], 'no option "--optimiser.lr", did you mean "--optimizer.lr"?'),
        (["train", "digits", "--optimizer.lr", "-1"], "optimizer.lr should be greater than 0, not -1"),
        (["train", "digits", "--epochs", "many"], "epochs should be a valid integer"),
        (["train", "digits", "--epochs", "["], "epochs should be a valid integer"),
        (["train", "digits", "--plan.device", "gpu"], 'plan.device: there is no "gpu" on this machine, only cpu'),
        (["train", "digits", "--plan.micro_batch", "1"], "plan.micro_batch should be greater than or equal to 2"),
        (["train", "digits", "--images.size", "8", "--network", "lenet5"], "lenet5 does not take images of 1x8x8"),
        (["train", "digits", "--optimizer.rule", "adm"], "not 'adm', did you mean \"adam\"?"),
        (["train", "digits", "--weights", "nowhere.pt"], "nowhere.pt: there is no such file of weights"),
        (
            ["train", "digits", "--group", "patient"],
            'digits: groups are a column of a CSV, here "patient", and this is none',
        ),
        (["doctor", "/dev/null"], "/dev/null: this is neither a file nor a folder"),
        (["train", "nowhere/photos"], "nowhere/photos: there is no such file or folder"),
        (["train", "--recipe", "nowhere.yaml"], "nowhere.yaml: the recipe cannot be read"),
        (["resume", "nowhere"], "there is no such run folder"),
        (["evaluate", "nowhere"], "there is no such run folder"),
        (["predict", "nowhere", "x.jpg"], "there is no such run folder"),
        (["predict"], "predict: the following arguments are required: RUN, IMAGE"),
        (["compare", "digits", "--b.lrr", "1"], 'no field "lrr" for --b.lrr, did you mean "optimizer.lr"?'),
        (["compare", "digits", "--i.lr", "1"], "compare: recipes are --a to --h, there is no --i"),
        (["crossval", "digits", "--search", "lrr=0.1,0.2"], 'no field "lrr", did you mean "optimizer.lr"?'),
        (["bias-variance", "digits", "--vary", "hue=0,0.1,foo=1"], "vary: one field, not 2"),
        (["bias-variance", "digits", "--vary", "weightdecay=0,1"], 'did you mean "optimizer.weight_decay"?'),
        (
            ["race", "digits", "--tries", "2"],
            "race: tries are an odd number, such as 3, for the usual rate is in the middle, not 2",
        ),
    ],
)
def test_bad_words(words: list[str], answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer in refused(words, capsys)


def test_several_numbers_are_read_as_people_write_them() -> None:
    for word, value in (("2,4", [2, 4]), ("[2, 4]", [2, 4]), ("2", [2]), ("0.5,1e-3", [0.5, 1e-3]), ("x", "x")):
        assert nested({"schedule.at": word}) == {"schedule": {"at": value}}


def test_a_recipe_with_an_unknown_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("data: digits\noptimizer:\n  momentun: 0.9\n")
    answer = refused(["train", "--recipe", str(file)], capsys)
    assert f'{file}: there is no field "optimizer.momentun", did you mean "optimizer.momentum"?' in answer
    file.write_text("epochs: 3\ndata: digits\nepochs: 4\n")
    assert 'YAML at line 3: "epochs" is there twice' in refused(["train", "--recipe", str(file)], capsys)
    file.write_text("")
    assert "a recipe is lines of `field: value`, and nothing is in it" in refused(["train", "--recipe", str(file)], capsys)
    file.write_text("data: [unclosed\n")
    assert "no recipe in YAML at line 2" in refused(["train", "--recipe", str(file)], capsys)


def test_a_section_with_a_typo_is_answered_with_the_section() -> None:
    with pytest.raises(InputError, match='no field "optimiser", did you mean "optimizer"'):
        finish(commands.train("digits", optimiser={"lr": 1}))


@pytest.mark.parametrize("words", ["1: 2", "optimizer:\n  2020-01-01: 3", "network: lenet5\nyes: 1"])
def test_names_of_fields_that_are_no_words(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    (tmp_path / "r.yaml").write_text(f"data: digits\n{words}\n")
    answer = refused(["train", "--recipe", str(tmp_path / "r.yaml")], capsys)
    assert re.search(r"r\.yaml: the name of a field is a word, such as epochs, not (1|2020-01-01|True)$", answer)


def test_a_run_folder_that_exists_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious.txt").write_text("x")
    assert "exists already" in refused([*BASE, "--out", str(tmp_path)], capsys)
    assert [file.name for file in tmp_path.iterdir()] == ["precious.txt"]


def test_exit_codes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A training that diverges leaves with 2, as below; 1 is what Python leaves with when something is not foreseen."""
    assert main(["--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "2 not done as asked, and a line says why (input, a full disk, a training that diverges," in told


@pytest.mark.parametrize("rate", ["1e30", "1e38"])
def test_divergence_stops_with_its_step_and_the_checkpoint_kept_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: str
) -> None:
    run = tmp_path / "run"
    answer = refused([*BASE, "--optimizer.lr", rate, "--checkpoint.seconds", "0", "--out", str(run)], capsys)
    assert re.search(r"at step \d+ \(epoch 1\); the last good state, of step \d+, is in ", answer)
    assert str(run / "checkpoint.pt") in answer
    weights = torch.load(run / "checkpoint.pt", weights_only=True)["network"].values()
    assert all(w.isfinite().all() for w in weights)


LIMITED = """
import resource, sys
import saccade
from saccade import InputError, commands
from saccade.cli import main
from saccade.events import finish
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of the size of files are Unix's")
def test_a_first_checkpoint_that_cannot_be_written_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """The system refuses to write more than 100 kB to one file, as a full disk would; a checkpoint has 700."""
    run = tmp_path / "run"
    finish(commands.doctor("digits", size=28))  # the images are in the cache
    command = [sys.executable, "-c", LIMITED, "100000", *BASE, "--out", str(run)]
    stopped = subprocess.run(command, capture_output=True, text=True, check=False)
    assert stopped.returncode == 2, stopped.stderr
    said = f"saccade: {run / 'checkpoint.pt'}: cannot be written (File too large); free some space"
    assert stopped.stderr.strip().splitlines()[-1] == said
    assert "Traceback" not in stopped.stderr
    assert not run.exists()  # nothing could go on from it


def test_a_full_disk_before_a_later_checkpoint_leaves_the_run_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, save, kept = tmp_path / "run", torch.save, []

    def full(state: Any, stream: Any) -> None:
        if len(kept) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        kept.append(save(state, stream))

    monkeypatch.setattr(torch, "save", full)
    answer = refused([*BASE, "--checkpoint.seconds", "0", "--out", str(run)], capsys)
    assert (
        f"checkpoint.pt: cannot be written (No space left on device); free some space, then `saccade resume {run}`"
        in answer
    )
    monkeypatch.undo()
    assert main(["resume", str(run)]) == 0


def test_a_network_that_is_unsound_from_the_start_leaves_no_folder_and_names_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from saccade.experiment import outcome

    monkeypatch.setattr(outcome, "probabilities", lambda *_: np.full((8, 10), np.nan))
    answer = refused([*BASE, "--out", str(tmp_path / "run")], capsys)
    assert "the scores are no longer finite at step 0 (epoch 1). Try a lower --optimizer.lr" in answer
    assert not (tmp_path / "run").exists()


def test_a_class_too_small_to_be_tested_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for klass, count in (("hat", 12), ("pants", 2)):
        (tmp_path / "d" / klass).mkdir(parents=True)
        for file in sorted((data / "clothing-small" / "train" / klass).iterdir())[:count]:
            shutil.copy(file, tmp_path / "d" / klass)
    words = ["--network", "lenet5", "--images.size", "28", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main(["train", str(tmp_path / "d"), *words]) == 0
    assert "no test image of pants: too few to hold one back, so no score speaks of it" in capsys.readouterr().err


def test_a_collapsed_training_is_told(tmp_path: Path) -> None:
    record = saccade.train(
        "digits", tmp_path / "run", network="lenet5", epochs=1, optimizer={"lr": 1e-9}, images={"size": 28}
    )
    assert any("where guessing is (2.303)" in note for note in record["notes"])


def test_a_test_part_of_one_class_says_nothing_of_the_network() -> None:
    assert one_class({"confusion": [[3, 0], [0, 0]]}) == ""
    assert one_class({"confusion": [[3, 0], [2, 0]]}).startswith("every image was given the same class")
    assert one_class({"confusion": [[3, 0], [1, 1]]}) == ""


def test_json_is_the_only_thing_on_standard_output_and_a_damaged_checkpoint_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = [sys.executable, "-m", "saccade", *BASE, "--out", str(run), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["scores"]["test"]["accuracy"]["n"] == 359
    assert sum(line.startswith("epoch ") for line in done.stderr.splitlines()) == 1
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / "record.json").unlink()
    whole = (run / "checkpoint.pt").read_bytes()
    (tmp_path / "copy" / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    assert "checkpoint.pt: the checkpoint is damaged" in refused(["resume", str(tmp_path / "copy")], capsys)
    middle = len(whole) // 2
    inverted = bytes(255 - byte for byte in whole[middle : middle + 64])
    (tmp_path / "copy" / "checkpoint.pt").write_bytes(whole[:middle] + inverted + whole[middle + 64 :])
    with pytest.raises(InputError, match=r"checkpoint.pt: the checkpoint is damaged"):
        checkpoint.load(tmp_path / "copy" / "checkpoint.pt")


def test_doctor_lists_what_it_leaves_out(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for klass in ("hat", "pants"):
        shutil.copytree(data / "clothing-small" / "test" / klass, tmp_path / "d" / klass)
    (tmp_path / "d" / "hat" / "cut.jpg").write_bytes((data / "odd-images/pillow/hopper.jpg").read_bytes()[:500])
    assert main(["doctor", str(tmp_path / "d"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["used"] == 24
    assert [left["file"] for left in found["left_out"]] == ["hat/cut.jpg"]


@pytest.fixture
def few_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of all, of which tests/zoo/test_contract.py counts every one, and none from the cache."""
    names = ("lenet5", "lenet5_1998", "resnet50", "mobilenet_v1")
    monkeypatch.setattr(listing, "NETWORKS", {name: NETWORKS[name] for name in names})
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path))


@pytest.mark.usefixtures("few_networks")
def test_networks_lists_them_with_their_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # counted, and from the cache
        assert main(["networks", "--json"]) == 0
        rows = {row["network"]: row for row in json.loads(capsys.readouterr().out)}
        assert list(rows) == ["lenet5", "lenet5_1998", "resnet50", "mobilenet_v1"]
        assert rows["lenet5_1998"]["parameters"] == 60_000
        assert (rows["resnet50"]["parameters"], rows["resnet50"]["macs"]) == (25_557_032, 4_089_184_256)
        assert rows["mobilenet_v1"]["options"] == ["width"]


def test_networks_are_all_that_there_are() -> None:
    assert listing.NETWORKS is NETWORKS


@pytest.mark.usefixtures("few_networks")
def test_every_name_of_the_package_is_there_after_its_parts_were_imported() -> None:
    """A command and a folder of one name would shadow each other."""
    import saccade
    import saccade.zoo

    saccade.networks()
    assert all(callable(getattr(saccade, name)) for name in saccade.__all__)
    assert saccade.networks()[0]["network"] == "lenet5"


def test_outputs_go_where_they_are_sent_and_never_over_another_kind_of_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main([*BASE, "--out", str(run), "--plan.precision", "fp32"]) == 0
    photo = tmp_path / "photo.jpg"
    shutil.copy(next((data / "clothing-small" / "test" / "hat").iterdir()), photo)
    before = photo.read_bytes()
    capsys.readouterr()
    assert "exists already and is no .csv file" in refused(["predict", str(run), str(photo), "--csv", str(photo)], capsys)
    assert "exists already and is no .onnx file" in refused(["export", str(run), "--out", str(run / "recipe.yaml")], capsys)
    assert "there is no folder" in refused(["export", str(run), "--out", str(run / "nowhere" / "model.onnx")], capsys)
    assert photo.read_bytes() == before
    (tmp_path / "real.csv").touch()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert main(["predict", str(run), str(photo), "--csv", str(tmp_path / "link.csv")]) == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("file,class,probability")
    words = [sys.executable, "-m", "saccade", "predict", str(run), str(photo), "--csv", "/dev/stdout", "--json"]
    piped = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "file,class,probability" in piped.stdout
    capsys.readouterr()
    assert "this is a file; name the run folder" in refused(["evaluate", str(run / "model.safetensors")], capsys)


def test_a_finished_run_is_not_to_be_resumed(tmp_path: Path) -> None:
    for name in ("checkpoint.pt", "record.json"):
        (tmp_path / name).touch()
    with pytest.raises(
        InputError, match=rf"exists already; choose another --out; .* finished \(see {tmp_path}/report.html"
    ):
        finish(commands.train("digits", tmp_path))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a file system in which no folder can be made, even by root")
@pytest.mark.parametrize("command", ["train", "learning-curve", "bag"])
def test_no_work_is_done_for_a_folder_that_no_right_forbids(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "digits", "--network", "lenet5", "--out", "/proc/run"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "saccade: /proc/run: the run folder cannot be made, for /proc may not be written to; choose another --out"
    ]


def test_help_names_the_words_of_a_field_where_it_takes_no_others() -> None:
    told = field_names()
    assert told["batch"].endswith('"full" for all. (default 64)')
    assert told["optimizer.rule"].endswith("lamb, muon; default nesterov)")
    assert told["plan.precision"].endswith("(one of fp32, bf16)")


def test_a_run_folder_that_cannot_be_made_is_noticed_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([*BASE, "--out", str(tmp_path / "file" / "run")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"saccade: {tmp_path}/file/run: the run folder cannot be made, for {tmp_path}/file is a file; choose another --out"
    ]


class Terminal(io.StringIO):
    """What a person sees: standard output and error on one screen."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("accuracies", "ranking"), [((0.5, 0.9), 1), ((0.9, 0.5), 0)])
def test_a_race_ends_with_its_ranking(accuracies: tuple[float, ...], ranking: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, the notes on the rules stand there in the order in which they ran: only the best first says more."""
    usual = {"part": "test", "lr": 0.1, "tried": [[0.1, 0.5]], "curves": [[0.5]]}
    rows = [
        {"rule": rule, "accuracy": {"value": value, "low": 0.0, "high": 1.0}, **usual}
        for rule, value in zip(("sgd", "adam"), accuracies, strict=True)
    ]

    def ran(*_: Any, **__: Any) -> Any:
        yield from (Note(row_in_words(row)) for row in rows)
        return {"rules": rows}

    screen = Terminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, screen)
    monkeypatch.setattr(commands, "race", ran)
    assert main(["race", "digits", "--rules", "sgd,adam"]) == 0
    shown = re.findall("(sgd|adam): test accuracy", screen.getvalue())
    assert shown == ["sgd", "adam"] + ranking * ["adam", "sgd"]


@pytest.mark.parametrize("apart", [False, True])
def test_what_is_kept_in_one_file_says_everything_once(
    apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`saccade bias-variance ... > file 2>&1` has the results among the notes; `> file` alone has them, too."""
    half = {"value": 0.5, "low": 0.4, "high": 0.6}
    row = {"value": 2, "failed": [], "log_loss": dict.fromkeys(("error", "bias", "variance"), half)}

    def ran(*_: Any, **__: Any) -> Any:
        yield Note(words_of("epochs", row))
        return {"field": "epochs", "rows": [row], "failed": [], "members": 2}

    monkeypatch.setattr(commands, "bias_variance", ran)
    with (tmp_path / "out").open("a") as out, (tmp_path / ("err" if apart else "out")).open("a") as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        assert main(["bias-variance", "digits"]) == 0
        monkeypatch.undo()
    assert [(file.name, file.read_text().count("epochs 2")) for file in sorted(tmp_path.iterdir())] == (
        [("err", 1), ("out", 1)] if apart else [("out", 1)]
    )


def test_the_seconds_of_an_epoch_line_are_said_to_add_up() -> None:
    measures = {"epoch": 2.0, "train_loss": 0.5, "validation_accuracy": 0.75, "seconds": 4.21}
    assert text(Epoch(measures, 3)) == "epoch 2/3, loss 0.5000, validation accuracy 0.7500, 4.2 s so far"


def test_that_a_plan_is_measured_is_said_before_and_how_long_it_took_after(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = (("cpu, fp32, channels-last", 100.0), ("cpu, fp32, channels-first", 50.0))

    def slowly(prepared: object) -> Plan:
        time.sleep(0.6)
        return Plan("cpu", "fp32", True, False, measured=tried)

    monkeypatch.setattr(experiment_run, "choose_plan", slowly)
    heard: list[Event] = []
    finish(experiment_run.ready(make_recipe({"data": "digits", "network": "resnet20"})), heard.append)
    assert heard[-2] == Progress("measuring how this network trains fastest", 0, 1)
    assert isinstance(heard[-1], Note)
    assert re.fullmatch(r"plan: cpu, fp32, channels-last \(measured in 0\.\d s: 2 tried\)", heard[-1].text)

"""The main job as a user does it: train, evaluate, predict, export, in one process, on real images."""

import csv
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

import saccade
from saccade import InputError
from saccade.cli import main
from saccade.data.batches import Resident
from saccade.data.sources import open_source
from saccade.data.store import open_stored
from saccade.experiment import model
from saccade.writing import creation_mask

QUICK = "--network resnet20 --images.size 32 --epochs 2 --batch 32 --plan.precision fp32 --plan.channels_last true".split()


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-20 on clothing photos at 32 px, 2 epochs."""
    folder = tmp_path_factory.mktemp("runs") / "clothing"
    assert main(["train", str(data / "clothing-small"), *QUICK, "--out", str(folder), "--json"]) == 0
    return folder


@pytest.fixture(scope="module")
def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())


def test_the_record_keeps_its_contract(record: dict[str, Any], run: Path) -> None:
    assert record["run"] == str(run)
    assert record["network"] == "resnet20"
    assert record["seed"] == 0
    assert record["seconds"] > 0
    assert set(record["scores"]["test"]["accuracy"]) == {"value", "low", "high", "n"}
    assert record["scores"]["test"]["accuracy"]["n"] == 120
    assert record["splits"]["train"]["images"] == 400
    assert {left["file"] for left in record["images"]["left_out"]} == {"LICENSE", "README.md"}
    assert record["memory"]["predicted_bytes"] > 4 * 3 * record["parameters"]
    assert record["memory"]["met_bytes"] > 0
    assert record["time"]["met_seconds"] > 0
    assert record["parameters"] == sum(row["parameters"] for row in record["layers"])


def test_the_run_folder_is_complete(run: Path) -> None:
    names = {file.name for file in run.iterdir()}
    assert names >= {"recipe.yaml", "record.json", "metrics.jsonl", "model.safetensors", "checkpoint.pt"}
    assert names >= {"predictions.npz", "split.npz", "report.html"}
    assert not [name for name in names if "part" in name.split(".")]


def test_predict_on_the_test_images_reproduces_evaluate_exactly(data: Path, run: Path, tmp_path: Path) -> None:
    found = saccade.predict(run, data / "clothing-small" / "test")
    root = data / "clothing-small"
    by_name = {str(root / name): row for name, row in stored_outcomes(run).items()}
    assert set(found.ids) == set(by_name)
    for name, row in zip(found.ids, found.probabilities, strict=True):
        assert (row == by_name[name]).all(), name


def stored_outcomes(run: Path) -> dict[str, np.ndarray]:
    """Of the test part."""
    with np.load(run / "predictions.npz") as outcomes:
        rows = outcomes["parts"] == "test"
        return dict(zip(outcomes["ids"][rows].tolist(), outcomes["probabilities"][rows], strict=True))


def test_evaluate_on_the_same_images_gives_the_same_scores(
    data: Path, run: Path, record: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), str(data / "clothing-small"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["scores"]["test"] == record["scores"]["test"]
    assert again["confusion"] == record["confusion"]


def test_predict_writes_a_csv_and_names_what_it_leaves_out(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(data / "odd-images" / "pillow" / "hopper.jpg", tmp_path / "good.jpg")
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "good.jpg").read_bytes()[:900])
    table = tmp_path / "out.csv"
    assert main(["predict", str(run), str(tmp_path), "--csv", str(table), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [Path(row["file"]).name for row in result["predictions"]] == ["good.jpg"]
    assert [Path(row["file"]).name for row in result["left_out"]] == ["broken.jpg"]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 1
    assert sum(float(rows[0][name]) for name in model.load(run).classes) == pytest.approx(1, abs=1e-4)


def test_onnx_agrees_takes_any_batch_and_carries_names_and_numbers(
    run: Path, record: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--to", "onnx", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["largest_difference"] < 1e-4
    session = onnxruntime.InferenceSession(result["file"], providers=["CPUExecutionProvider"])
    words = session.get_modelmeta().custom_metadata_map
    assert json.loads(words["saccade.classes"]) == record["classes"]
    trained = model.load(run)
    assert json.loads(words["saccade.preprocess"]) == trained.preprocess.to_dict()
    store = open_stored(record["images"]["fingerprint"])
    assert store is not None
    for count in (1, 5):
        images = trained.preprocess(torch.from_numpy(store.pixels[:count]))
        theirs = session.run(None, {"images": images.contiguous().numpy()})[0]
        with torch.inference_mode():
            assert np.abs(trained.network(images).numpy() - theirs).max() < 1e-4


def test_digits_from_python_with_recipe_fields(tmp_path: Path) -> None:
    record = saccade.train("digits", out=tmp_path / "run", network="lenet5", epochs=8, images={"size": 28})
    assert record["scores"]["test"]["accuracy"]["value"] > 0.8
    assert record["epochs"]["trained"] == 8


def test_arrays_train_and_resume_says_when_nothing_is_left(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    x = generator.integers(0, 60, (120, 16, 16), np.uint8)
    x[y == 1, :8] += 120
    record = saccade.train((x, y), out=tmp_path / "run", epochs=10, batch=16)
    assert record["scores"]["test"]["accuracy"]["value"] > 0.9
    assert saccade.resume(tmp_path / "run")["scores"] == record["scores"]


@pytest.mark.slow
def test_the_default_job_reaches_its_figure(tmp_path: Path) -> None:
    record = saccade.train("digits", out=tmp_path / "run")
    assert record["scores"]["test"]["accuracy"]["value"] >= 0.97


def the_rest_of_the_way(run: Path, record: dict[str, Any], images: Path) -> None:
    """What a user does with a run: its scores again, from its data too, and the network as ONNX."""
    assert saccade.evaluate(run)["scores"] == record["scores"]
    for name, score in saccade.evaluate(run, images)["scores"]["test"].items():
        assert score == record["scores"]["test"][name]
    assert saccade.export(run)["largest_difference"] < 1e-4


@pytest.mark.slow
def test_fashion_mnist(data: Path, tmp_path: Path) -> None:
    record = saccade.train(data / "fashion-mnist", out=tmp_path / "run", network="lenet5", epochs=10)
    assert record["scores"]["test"]["accuracy"]["value"] >= 0.90
    the_rest_of_the_way(tmp_path / "run", record, data / "fashion-mnist")


@pytest.mark.slow
def test_cifar10_a_short_run(data: Path, tmp_path: Path) -> None:
    record = saccade.train(data / "cifar-10", out=tmp_path / "run", network="resnet20", epochs=1, batch=128)
    assert record["scores"]["test"]["accuracy"]["value"] > 0.35
    the_rest_of_the_way(tmp_path / "run", record, data / "cifar-10")


@pytest.mark.slow
def test_odd_images_go_the_whole_way(data: Path, tmp_path: Path) -> None:
    for i, file in enumerate(sorted((data / "odd-images").rglob("*.*"))):
        target = tmp_path / "odd" / "ab"[i % 2] / f"{i}-{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    record = saccade.train(tmp_path / "odd", out=tmp_path / "run", network="resnet20", epochs=1, images={"size": 32})
    left_out = {Path(each["file"]).name: each["reason"] for each in record["images"]["left_out"]}
    assert record["images"]["used"] + len(left_out) == sum(1 for _ in (tmp_path / "odd").rglob("*.*"))
    diagnosis = saccade.doctor(tmp_path / "odd", size=32)
    assert {Path(each["file"]).name: each["reason"] for each in diagnosis["left_out"]} == left_out
    found = saccade.predict(tmp_path / "run", tmp_path / "odd")
    assert {Path(each.file).name for each in found.left_out} == set(left_out)
    assert len(found.ids) == record["images"]["used"]
    assert saccade.export(tmp_path / "run")["largest_difference"] < 1e-4


def test_one_image_that_is_none_is_an_error(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jpg").write_text("no image")
    assert main(["predict", str(run), str(tmp_path / "x.jpg")]) == 2
    assert "x.jpg" in capsys.readouterr().err


def test_prediction_turns_images_upright(data: Path, run: Path, tmp_path: Path) -> None:
    file = next((data / "clothing-small" / "test" / "pants").iterdir())
    with Image.open(file) as image:
        upright = image.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    upright.save(tmp_path / "upright.png")
    found = saccade.predict(run, tmp_path)
    assert (found.probabilities[0] == found.probabilities[1]).all()


def test_the_test_part_is_read_once_and_the_split_is_written_down(record: dict[str, Any], run: Path) -> None:
    assert record["test_read"] == 1
    with np.load(run / "split.npz") as split:
        counts = {part: int((split["parts"] == part).sum()) for part in ("train", "validation", "test")}
        assert counts == {part: record["splits"][part]["images"] for part in counts}
        assert len(np.unique(split["ids"])) == len(split["digests"]) == sum(counts.values())


def test_evaluate_scores_no_image_that_the_run_has_trained_on(
    data: Path, run: Path, record: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under other names and in other folders: the pixels tell."""
    root = data / "clothing-small"
    for part, klass, count in (("train", "hat", 5), ("validation", "hat", 2), ("test", "hat", 4), ("test", "pants", 3)):
        for i, file in enumerate(sorted((root / part / klass).iterdir())[:count]):
            target = tmp_path / "mixed" / klass / f"{part}-{i}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    assert main(["evaluate", str(run), str(tmp_path / "mixed"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["scores"]["test"]["accuracy"]["n"] == 7
    assert re.search(r"left out: 7, such as .*the run has trained or selected on it", err)
    shutil.rmtree(tmp_path / "mixed" / "pants")
    for file in (tmp_path / "mixed" / "hat").glob("test-*"):
        file.unlink()
    assert main(["evaluate", str(run), str(tmp_path / "mixed")]) == 2
    assert "every one of these images" in capsys.readouterr().err


def test_a_file_whose_name_is_no_utf8_goes_the_whole_way(data: Path, tmp_path: Path) -> None:
    for klass in ("hat", "pants"):
        shutil.copytree(data / "clothing-small" / "test" / klass, tmp_path / "d" / klass)
    strange = os.path.join(os.fsencode(tmp_path / "d" / "hat"), b"caf\xe9.jpg")  # Latin-1, as old archives have it
    shutil.copy(next((tmp_path / "d" / "hat").iterdir()), strange)
    words = ["train", str(tmp_path / "d"), *QUICK, "--epochs", "1", "--out", str(tmp_path / "run"), "--json"]
    assert main(words) == 0
    assert json.loads((tmp_path / "run" / "record.json").read_text())["images"]["used"] == 25
    assert main(["evaluate", str(tmp_path / "run"), str(data / "clothing-small" / "validation"), "--json"]) == 0
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "d"), "--csv", str(tmp_path / "x.csv")]) == 0
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 26


def test_a_class_called_like_a_column_has_another_one_in_the_table(data: Path, tmp_path: Path) -> None:
    for klass, name in (("hat", "class"), ("pants", "file")):
        shutil.copytree(data / "clothing-small" / "test" / klass, tmp_path / "d" / name)
    words = ["train", str(tmp_path / "d"), *QUICK, "--epochs", "1", "--out", str(tmp_path / "run"), "--json"]
    assert main(words) == 0
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "d"), "--csv", str(tmp_path / "x.csv")]) == 0
    assert (tmp_path / "x.csv").read_text().startswith("file,class,probability,p:class,p:file\n")


def test_images_in_memory_are_predicted_as_their_files_are(data: Path, run: Path) -> None:
    files = sorted((data / "clothing-small" / "test" / "hat").iterdir())[:3]
    expected = saccade.predict(run, files)
    pictures = [Image.open(file) for file in files]
    assert (saccade.predict(run, pictures).probabilities == expected.probabilities).all()
    assert (saccade.predict(run, np.asarray(pictures[0])).probabilities == expected.probabilities[:1]).all()
    with pytest.raises(InputError, match="an image is"):
        saccade.predict(run, [np.zeros(7)])


def test_an_image_of_train_and_test_is_not_scored(data: Path, tmp_path: Path) -> None:
    """Nor is one of validation that is in train too; evaluate counts the same images."""
    for part, count in (("train", 6), ("validation", 3), ("test", 4)):
        for klass in ("hat", "pants"):
            folder = tmp_path / "d" / part / klass
            folder.mkdir(parents=True)
            for file in sorted((data / "clothing-small" / part / klass).iterdir())[:count]:
                shutil.copy(file, folder)
    twin = next((tmp_path / "d" / "train" / "hat").iterdir())
    for part in ("validation", "test"):
        shutil.copy(twin, tmp_path / "d" / part / "hat" / "twin.jpg")
    record = saccade.train(tmp_path / "d", out=tmp_path / "run", network="resnet20", images={"size": 32}, epochs=1)
    assert record["scores"]["test"]["accuracy"]["n"] == 8
    assert record["scores"]["validation"]["accuracy"]["n"] == 6
    assert record["images"]["used"] == 28
    again = saccade.evaluate(tmp_path / "run", tmp_path / "d")
    assert again["scores"]["test"] == record["scores"]["test"]


def test_predictions_are_not_taken_for_labels(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training on its own predictions, a network would be measured by them, too."""
    file = tmp_path / "predicted.csv"
    assert main(["predict", str(run), str(data / "clothing-small" / "test" / "hat"), "--csv", str(file)]) == 0
    for words in (["train", str(file)], ["evaluate", str(run), str(file)], ["doctor", str(file)]):
        assert main(words) == 2
        assert "these are predictions that `saccade predict` wrote, not labels" in capsys.readouterr().err
    kept = [",".join(line.split(",")[:2]) for line in file.read_text().splitlines()]
    file.write_text("\n".join(kept))
    assert open_source(file).classes


def test_an_image_saved_again_is_said_to_look_like_one_that_trained(run: Path, data: Path, tmp_path: Path) -> None:
    """Other bytes and other pixels, so that it is scored; but the answer says how many there are."""
    folder = tmp_path / "d" / "hat"
    folder.mkdir(parents=True)
    shutil.copy(sorted((data / "clothing-small" / "test" / "hat").iterdir())[0], folder)
    trained = sorted((data / "clothing-small" / "train" / "hat").iterdir())[0]
    Image.open(trained).convert("RGB").save(folder / "again.jpg", quality=70)
    found = saccade.evaluate(run, tmp_path / "d")
    assert found["scores"]["test"]["accuracy"]["n"] == 2
    (finding,) = found["findings"]
    assert finding["text"].startswith("1 image looks like one that the run has trained or selected on")
    assert finding["files"] == (f"train/hat/{trained.name} = hat/again.jpg",)


def test_every_file_of_a_run_has_the_usual_rights(run: Path) -> None:
    assert {file.stat().st_mode & 0o777 for file in run.iterdir()} == {0o666 & ~creation_mask()}


def test_the_pixels_of_the_test_part_are_read_after_training_and_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look at the store is watched: what it took, and when."""
    taken: list[np.ndarray] = []
    real = Resident.take

    def watched(self: Resident, indices: np.ndarray) -> Any:
        taken.append(np.asarray(indices))
        return real(self, indices)

    monkeypatch.setattr(Resident, "take", watched)
    saccade.train(data / "clothing-small", out=tmp_path / "run", network="resnet20", images={"size": 32}, epochs=2)
    with np.load(tmp_path / "run" / "split.npz") as split:
        tests = [bool((split["parts"][indices] == "test").any()) for indices in taken]
        read = np.concatenate([indices for indices, test in zip(taken, tests, strict=True) if test])
        assert set(np.flatnonzero(split["parts"] == "test")) == set(read)
        assert (split["parts"][read] == "test").all()
    first = tests.index(True)
    assert all(tests[first:])
    assert len(tests) - first == -(-120 // 32)


def test_a_finished_run_that_was_moved_gets_its_report_again(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    (moved / "report.html").unlink()
    saccade.resume(moved)
    assert (moved / "report.html").is_file()


def test_a_class_without_usable_training_images_is_not_scored(data: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        for klass in ("hat", "pants", "dress"):
            shutil.copytree(data / "clothing-small" / part / klass, tmp_path / "d" / part / klass)
    for file in (tmp_path / "d" / "train" / "dress").iterdir():
        file.write_bytes(file.read_bytes()[:300])
    record = saccade.train(tmp_path / "d", out=tmp_path / "run", network="resnet20", images={"size": 32}, epochs=1)
    assert record["scores"]["test"]["accuracy"]["n"] == 24


def test_a_sequence_that_fails_at_one_image_goes_on_with_the_others(data: Path, tmp_path: Path) -> None:
    """As torchvision's ImageFolder does at a truncated file."""
    for klass in ("hat", "pants"):
        shutil.copytree(data / "clothing-small" / "test" / klass, tmp_path / klass)
    victim = next((tmp_path / "hat").iterdir())
    victim.write_bytes(victim.read_bytes()[:400])
    found = saccade.doctor(ImageFolder(str(tmp_path)))
    assert found["used"] == 23
    assert found["left_out"][0]["reason"].startswith("its sequence fails (")


def test_fine_tuning_from_a_run_with_frozen_parts(data: Path, run: Path, tmp_path: Path) -> None:
    """Four of the ten classes: the body comes from the run, the stem does not learn, the classifier is new."""
    for klass in ("hat", "pants", "dress", "shoes"):
        for part in ("train", "test"):
            shutil.copytree(data / "clothing-small" / part / klass, tmp_path / "d" / part / klass)
    words = [*QUICK, "--weights", str(run), "--optimizer.freeze", "stem,stages.0", "--optimizer.rates", "stages.1=0.1"]
    assert main(["train", str(tmp_path / "d"), *words, "--out", str(tmp_path / "tuned"), "--json"]) == 0
    old, new = model.load(run), model.load(tmp_path / "tuned")
    assert new.preprocess.mean == old.preprocess.mean
    before, after = old.network.state_dict(), new.network.state_dict()
    frozen = [name for name in before if name.startswith(("stem", "stages.0")) and "num_batches" not in name]
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["stages.1.0.body.0.conv.weight"], after["stages.1.0.body.0.conv.weight"])
    assert after["head.dense.weight"].shape == (4, 64)


def test_what_a_run_sees_is_drawn(data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = data / "clothing-small" / "test" / "dress"
    found = saccade.effective(run, [photos], tmp_path / "e.png")
    assert found["images"] == 12
    assert 1 < found["effective_side"] <= 32
    early = saccade.effective(run, [photos], tmp_path / "s.png", part="stem")
    assert early["theoretical"] == [3, 3]
    assert early["effective_side"] <= 3
    saccade.show_maps(run, next(photos.iterdir()), tmp_path / "m.png")
    for name in ("e.png", "s.png", "m.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("RGB").getcolors(10**6) or []) > 20
    capsys.readouterr()
    assert main(["inspect", str(run), "--effective", str(photos), "--part", "stages.9"]) == 2
    assert 'the network has no part "stages.9"' in capsys.readouterr().err
    assert main(["inspect", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "resnet20"


def test_a_damaged_split_is_named(data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "split.npz").write_bytes(b"")
    for words in (["evaluate", str(copy), str(data / "clothing-small")], ["sharpness", str(copy)]):
        assert main(words) == 2
        assert re.search(r"saccade: .*split\.npz: cannot be read \(.+\); it says which images", capsys.readouterr().err)


def test_classes_that_only_the_test_part_has_are_left_out_as_in_training(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, copy = data / "clothing-small", tmp_path / "photos"
    for part, names in (("train", ("hat", "pants")), ("test", ("dress", "hat", "pants"))):
        for name in names:
            shutil.copytree(root / part / name, copy / part / name)
    run = tmp_path / "run"
    assert main(["train", str(copy), *QUICK, "--out", str(run), "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(run), str(copy), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["scores"] == {"test": trained["scores"]["test"]}
    reasons = {left["reason"] for left in again["left_out"] if "/dress/" in left["file"]}
    assert reasons == {'class "dress" is not one that the run knows'}
    assert main(["evaluate", str(run), "--views", "mirror"]) == 0
    found, kept = saccade.predict(run, copy / "test"), stored_outcomes(run)
    by_name = dict(zip(found.ids, found.probabilities, strict=True))
    assert all((by_name[str(copy / name)] == row).all() for name, row in kept.items())


def test_the_groups_of_a_run_count_when_it_is_evaluated(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty patients with four pictures each: drawn whole, they leave wider intervals."""
    files = [sorted((data / "clothing-small" / "test" / name).iterdir())[:8] for name in ("hat", "pants")]
    files += [sorted((data / "clothing-small" / "train" / name).iterdir())[:32] for name in ("hat", "pants")]
    lines = [
        f"{file},{file.parent.name},{part},p{i // 4}-{k}"
        for k, (part, some) in enumerate(zip(("test", "test", "train", "train"), files, strict=True))
        for i, file in enumerate(some)
    ]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split,patient", *lines]))
    run = tmp_path / "run"
    assert main(["train", str(tmp_path / "list.csv"), "--group", "patient", *QUICK, "--out", str(run), "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(run), str(tmp_path / "list.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["test"] == trained["scores"]["test"]
    (tmp_path / "bare.csv").write_text("\n".join(["path,label,split", *(line.rpartition(",")[0] for line in lines)]))
    assert main(["evaluate", str(run), str(tmp_path / "bare.csv"), "--json"]) == 0
    without = capsys.readouterr()
    assert 'has no column "patient"' in without.err
    assert json.loads(without.out)["scores"]["test"] != trained["scores"]["test"]

"""The report page, from a real run, in a real browser."""

import base64
import io
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import saccade
from saccade import InputError
from saccade.report import pictured, write_report
from saccade.report.pictures import picture

VOID = {"meta", "img", "br"}


class Nesting(HTMLParser):
    """Fails on a tag that closes what is not open, and collects what a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits with class names that no page should trust."""
    from sklearn.datasets import load_digits

    found = load_digits()
    names = np.array([f"<b>{i}</b> & 'ö'" for i in range(10)])
    folder = tmp_path_factory.mktemp("runs") / "run"
    x = (found.images * 15).astype(np.uint8)
    saccade.train((x, names[found.target]), out=folder, network="lenet5", images={"size": 28}, epochs=3)
    return folder


def test_the_page_is_well_formed_escaped_and_self_contained(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    parser = Nesting()
    parser.feed(page)
    assert parser.open == []
    assert parser.fetched
    assert all(link.startswith("data:image/png;base64,") for link in parser.fetched)
    assert "<b>3</b> & " not in page
    assert "&lt;b&gt;3&lt;/b&gt; &amp; &#x27;ö" in page
    assert "url(" not in page


def test_the_page_says_which_intervals_small_counts_have(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "reach to the exact one-sided limit where few images are right, or few wrong" in page


def test_the_pictures_are_the_most_confident_mistakes(run: Path) -> None:
    with np.load(run / "predictions.npz") as found:
        test = found["parts"] == "test"
        likely, labels, ids = found["probabilities"][test], found["labels"][test], found["ids"][test]
    wrong = likely.argmax(1) != labels
    wanted = pictured(run, 3)
    assert wanted[0] == ids[wrong][likely[wrong].max(1).argmax()]
    assert len(wanted) == min(3, wrong.sum())


def test_small_pictures_keep_every_pixel_and_photos_are_small() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    [small] = re.findall(r'src="data:image/png;base64,([^"]*)"', picture("a", "", "", {"a": pixels}))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(small)))), pixels)
    smooth = np.linspace(0, 255, 200 * 180 * 3).reshape(200, 180, 3).astype(np.uint8)
    [large] = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', picture("a", "", "", {"a": smooth}))
    assert np.abs(np.asarray(Image.open(io.BytesIO(base64.b64decode(large)))).astype(int) - smooth).mean() < 2


def test_without_a_test_part_the_page_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    saccade.train("digits", out=folder, network="lenet5", images={"size": 28}, epochs=1, split={"test": 0})
    assert "There is no test part" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_run_on_all_images_points_to_the_score_of_its_cross_validation(tmp_path: Path) -> None:
    place, fields = tmp_path / "study", {"network": "lenet5", "images": {"size": 28}, "epochs": 2}
    split = {"images": 100}
    record = saccade.crossval("digits", folds=2, final=True, engine="serial", out=place, split=split, **fields)
    page = (place / "final" / "report.html").read_text(encoding="utf-8")
    score = record["scores"]["out_of_fold"]["accuracy"]
    assert f"{100 * score['value']:.1f}\u202f% of the images" in page
    assert '<a href="../report.html">the page of the cross-validation</a>' in page
    assert page.count(">train</span>") == 2
    assert ">validation</span>" not in page
    assert "95 % interval</th>" not in page  # of a table of scores
    shutil.copytree(place / "final", tmp_path / "alone")
    page = write_report(tmp_path / "alone", {}).read_text(encoding="utf-8")
    assert "scores it on labelled images that it has not seen" in page
    assert "<a href" not in page
    assert ">validation</span>" in write_report(place / "run-0-0-fold-0", {}).read_text(encoding="utf-8")


def test_many_classes_become_a_list_of_pairs(run: Path, tmp_path: Path) -> None:
    import json

    record: dict[str, Any] = json.loads((run / "record.json").read_text())
    names = [f"class {i}" for i in range(200)]
    matrix = np.random.default_rng(0).integers(0, 3, (200, 200)).tolist()
    row = record["per_class"][0]
    record |= {"classes": names, "confusion": matrix, "per_class": [row | {"class": name} for name in names]}
    for part in record["splits"].values():
        part["per_class"] = [1] * 200
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "record.json").write_text(json.dumps(record))
    page = write_report(tmp_path / "run", {}).read_text(encoding="utf-8")
    assert "was taken for" in page
    assert 'class="confusion"' not in page


@pytest.mark.parametrize("name", ["metrics.jsonl", "predictions.npz"])
@pytest.mark.parametrize("share", [0, 0.5, 0.98])
def test_files_that_were_cut_are_named_and_the_good_report_stays(
    run: Path, tmp_path: Path, name: str, share: float
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=rf"{name}: "):
        saccade.resume(copy)
    assert (copy / "report.html").read_bytes() == (run / "report.html").read_bytes()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """A headless Chromium that keeps what its console says."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver on this machine")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    quiet = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for word in (*quiet.split(), "disable-component-update", "disable-sync", f"user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(("page", "heading"), [("report", "Scores"), ("inspection", "Layer by layer")])
def test_a_browser_shows_it_without_errors_at_any_width(
    run: Path, tmp_path: Path, browser: Any, page: str, heading: str
) -> None:
    file = run / "report.html"
    if page == "inspection":
        file = tmp_path / "inspection.html"
        saccade.draw("googlenet", file, part="stages.0.1", depth=3, batch=2)
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(f"file://{file}")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            headings = browser.execute_script("return [...document.querySelectorAll('h1,h2')].map(h => h.innerText)")
            assert heading in headings
            broken = "return [...document.images].filter(i => !i.naturalWidth).length"
            assert browser.execute_script(broken) == 0
    assert browser.get_log("browser") == []

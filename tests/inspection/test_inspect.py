"""`saccade inspect` on our networks, on others' and on a user's own."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import saccade
from saccade import InputError
from saccade.cli import main
from saccade.inspection.memory import STATE, training_memory
from saccade.inspection.summary import folded, main_rows
from saccade.inspection.table import layer_table
from saccade.inspection.text import inspection, pictured
from saccade.inspection.trace import UNUSED, trace
from saccade.optim import freeze
from saccade.zoo import find


def test_the_json_keeps_its_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "alexnet", "--batch", "8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 60_965_224
    assert found["macs"] * 2 == found["flops"]
    assert found["memory"]["training_bytes"] > 4 * 3 * 60_965_224
    first = found["layers"][0]
    assert first["path"] == "stem.0.0.0"
    assert first["kind"] == "conv2d"
    assert first["output"] == [48, 55, 55]
    assert first["parameters"] - first["biases"] == 11 * 11 * 3 * 48
    assert (first["receptive_field"], first["step"], first["offset"]) == ([11, 11], [4, 4], [0, 0])
    assert (first["kernel"], first["stride"], first["padding"], first["groups"]) == ([11, 11], [4, 4], [0, 0], 1)
    assert found["receptive_field"] == [195, 195]


def test_the_weights_of_the_towers_are_those_of_the_notes() -> None:
    rows = [row for row in layer_table(find("alexnet").build(1000, 3), (3, 227, 227)) if row["macs"]]
    weights = [row["parameters"] - row["biases"] for row in rows]
    lower, upper, dense = weights[:4], weights[4:10], weights[10:]
    assert (lower[0] + lower[2], lower[1] + lower[3]) == (34_848, 307_200)
    assert [upper[i] + upper[i + 3] for i in range(3)] == [884_736, 663_552, 442_368]
    assert dense == [37_748_736, 16_777_216, 4_096_000]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[] if n in ("resnet50", "vit_b_16", "swin_t") else [pytest.mark.slow])
        for n in torchvision.models.list_models(module=torchvision.models)
    ],
)
def test_multiply_accumulates_of_torchvisions_classifiers_are_half_of_torchs_flops(name: str) -> None:
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # RegNets compute their widths by tensors
        network = torchvision.models.get_model(name, **extra).eval().to("meta")
    side = 299 if name == "inception_v3" else 224
    ops = trace(network, (1, 3, side, side))
    assert sum(op.parameters for op in ops) == sum(p.numel() for p in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, side, side, device="meta"))
    assert sum(op.macs for op in ops) == counter.get_total_flops() // 2


def test_others_networks_are_inspected_unchanged() -> None:
    for network in (torchvision.models.resnet50(), timm.create_model("convnext_atto")):
        before = {name: t.clone() for name, t in network.state_dict().items()}
        found = saccade.inspect(network, batch=2)
        assert found["parameters"] == sum(p.numel() for p in network.parameters())
        assert all(torch.equal(t, before[name]) and not t.is_meta for name, t in network.state_dict().items())
        assert not any(module._forward_hooks for module in network.modules())
    assert saccade.inspect("torchvision.models:resnet50", batch=2)["receptive_field"] == [427, 427]


class Choosy(nn.Module):
    """Looks at values, and makes a tensor of its own: neither is possible without computing."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = x + torch.zeros(1)
        return self.large(x) if x.abs().max() > 5 else self.small(x)


def test_a_module_that_chooses_by_values_is_run_and_what_it_leaves_out_is_listed() -> None:
    rows = saccade.inspect(Choosy(), "3x16x16", batch=2)["layers"]
    assert [row["kind"] for row in rows if row["parameters"]] == ["conv2d", UNUSED]
    assert rows[-1]["path"] == "large"


class Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(7, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["inspect", "resnet5"], 'there is no network "resnet5", did you mean'),
        (["inspect", "resnet50:strid=1x1"], 'resnet50 has no option "strid", did you mean "stride"?'),
        (["inspect", "resnet50:stride=2"], 'stride is 3x3 or, in a bottleneck, 1x1, not "2"'),
        (["inspect", "mobilenet_v1:width=wide"], 'the option width is a number, not "wide"'),
        (["inspect", "lenet5", "--input", "28x28"], "channels, height and width such as 3x224x224"),
        (["inspect", "lenet5", "--input", "1x8x8"], "stages.0.1 (Conv2d) fails for images of 1x8x8"),
        (["inspect", "nowhere.models:resnet50"], "there is no module nowhere.models"),
        (["inspect", "torchvision.models:resnet5"], "there is no resnet5 in torchvision.models"),
        (["inspect", "torch.nn:Conv2d"], "calling Conv2d() failed"),
        (["inspect", ":resnet50"], "module:callable such as torchvision.models:resnet50"),
        (["inspect", "./nets:Net"], "module:callable such as torchvision.models:resnet50"),
        (["inspect", "vgg16", "--input", "3x16x16", "--draw", "x.svg"], "the smallest side that passes is 32"),
        (["inspect", "resnet18", "--part", "stages.0"], "--part says what to draw"),
        (["inspect", "resnet18", "resnet34", "--draw", "x.svg"], "one network at a time"),
        (["inspect", "resnet18", "--html", "x.svg"], "a page ends in .html"),
        (["inspect", "nin:last=tanh"], 'last is linear or, as published, relu, not "tanh"'),
        (["inspect", "resnet18", "--classes", "0"], "classes: at least one"),
        (["inspect", "resnet18", "--batch", "0"], "batch: at least one image"),
        (["inspect", "resnet18", "--depth", "-1"], "depth: at least 1"),
        (["inspect", "resnet18", "--fit", "1.2.3GiB"], "an amount of memory such as 8GiB"),
        (["arithmetic", "padding", "32", "--kernel", "3", "--stride", "0"], "stride is 0; it is at least 1"),
        (["arithmetic", "padding", "32", "--kernel", "-1"], "kernel is -1; it is at least 1"),
        (["arithmetic", "size", "9", "--kernel", "1x7"], "one axis at a time"),
        (["arithmetic", "size", "9", "--kernel", "1xy"], 'a side such as 3, or two such as 1x7, not "1xy"'),
        (["arithmetic", "size", "0", "--kernel", "3", "--padding", "2"], "a size is at least 1"),
        (["inspect", "resnet18", "--fit", "lots"], "an amount of memory such as 8GiB"),
        (["inspect", "resnet18", "--fit", "1MiB"], "not even 2 images at once fit 1.0 MiB; try"),
        (["inspect", "resnet18", "--precision", "fp8"], '"fp8" is none of fp32, bf16'),
        (["inspect", "resnet18", "--draw", "x.png"], "a picture is .svg, .mmd or .html"),
        (["inspect", "resnet18", "--draw", "x.svg", "--part", "stages.9"], 'there is no part "stages.9"'),
    ],
)
def test_bad_words(words: list[str], answer: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert answer in err
    assert len(err.strip().splitlines()) == 1


class ByName(nn.Module):
    """Weights given by name, in another order, and products that are no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)
        self.pair, self.row = nn.Bilinear(4, 4, 2), nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.conv2d(bias=self.conv.bias, weight=self.conv.weight, input=x)
        x = nn.functional.linear(x.mean((2, 3)), bias=self.dense.bias, weight=self.dense.weight)
        return torch.mv(self.pair(x, x), self.row)


def test_weights_by_name_and_other_products_are_counted() -> None:
    rows = saccade.inspect(ByName(), "3x32x32", batch=2)["layers"]
    assert [row["macs"] for row in rows if row["macs"]] == [30 * 30 * 8 * 27, 32, 2 * 16, 2]


class Foreign(nn.Module):
    """An operator of an extension, and a Fourier transform."""

    def __init__(self) -> None:
        super().__init__()
        self.where, self.look = nn.Conv2d(3, 18, 3, padding=1), torchvision.ops.DeformConv2d(3, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft2(self.look(x, self.where(x))).abs()


def test_the_row_says_which_operation_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    found = saccade.inspect(Foreign(), "3x16x16", batch=2)
    assert [row["kind"] for row in found["layers"] if not row["counted"]] == ["deform_conv2d", "fft_fft2"]
    text = inspection(found)
    assert text.count("not counted") == 2
    assert "look deform_conv2d, fft_fft2" in text


def lazy() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.LazyConv2d(4, 3)


def normalized_weights() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(nn.Conv2d(3, 4, 3))


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(nn.Conv2d(3, 4, 3))


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (lazy, "weight has no shape yet"),
        (normalized_weights, "Conv2d cannot be copied"),
        (scripted, "the calls of a scripted module cannot be seen"),
    ],
)
def test_modules_that_cannot_be_inspected(make: Callable[[], nn.Module], answer: str) -> None:
    with pytest.raises(InputError, match=answer):
        saccade.inspect(make(), "3x16x16", batch=2)


def test_odd_modules_are_inspected() -> None:
    assert saccade.inspect(nn.Identity(), "3x16x16", batch=2)["layers"] == []
    holes = saccade.inspect(nn.ConvTranspose2d(3, 4, 1, stride=2, padding=1), "3x16x16", batch=2)["layers"]
    assert holes[0]["offset"] == [None, None]  # the first place lies between two of the input's and sees neither


def test_a_module_that_fails_is_named_with_its_path() -> None:
    with pytest.raises(
        InputError, match=r"body\.2 \(Linear\) fails for images of 3x16x16: .*; the smallest side|body\.2 \(Linear\)"
    ):
        saccade.inspect(Broken(), "3x16x16")


def test_rows_fold_by_depth_and_lose_nothing() -> None:
    rows = layer_table(find("resnet18").build(10, 3), (3, 64, 64))
    for depth in (1, 2, 3):
        found = folded(rows, depth)
        assert sum(row["macs"] for row in found) == sum(row["macs"] for row in rows)
        assert sum(row["parameters"] for row in found) == sum(row["parameters"] for row in rows)
    assert [row["path"] for row in folded(rows, 1)] == ["stem", "stages", "head"]
    assert sum(row["macs"] for row in main_rows(rows)) == sum(row["macs"] for row in rows)


def kept_by_autograd(network: nn.Module, images: Tensor) -> int:
    """On the CPU, with real tensors: the bytes of every storage that autograd holds, parameters aside."""
    known = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers())}
    found: dict[int, int] = {}
    alive = []

    def keep(t: Tensor) -> Tensor:
        alive.append(t)
        if t.untyped_storage().data_ptr() not in known:
            found[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        network(images)
    return sum(found.values())


@pytest.mark.parametrize("name", ["resnet18", "googlenet_bn", "densenet40_bc", "mobilenet_v2", "efficientnet_b0", "vgg11"])
def test_predicted_activations_are_what_autograd_keeps(name: str) -> None:
    network = find(name).build(10, 3).train()
    side = 64 if find(name).size > 64 else 32
    memory = training_memory(network, (4, 3, side, side))
    assert sum(memory.by_path.values()) == pytest.approx(kept_by_autograd(network, torch.randn(4, 3, side, side)), rel=0.01)


@pytest.mark.parametrize("name", ["googlenet", "resnet20"])
def test_activations_in_bf16_are_what_autograd_keeps_under_autocast(name: str) -> None:
    network = find(name).build(10, 3).train()
    side = 96 if find(name).size > 64 else 32
    memory = training_memory(network, (4, 3, side, side), "bf16")
    with torch.autocast("cpu", torch.bfloat16):
        kept = kept_by_autograd(network, torch.randn(4, 3, side, side))
    assert sum(memory.by_path.values()) == pytest.approx(kept, rel=0.01)


def test_a_network_that_must_see_values_is_met_with_few_images_and_draws_from_no_generator() -> None:
    network = nn.Sequential(Choosy(), nn.Dropout(0.5))
    state = torch.random.get_rng_state()
    one, many = (training_memory(network, (batch, 3, 16, 16)) for batch in (8, 4000))
    assert torch.equal(state, torch.random.get_rng_state())
    assert many.activations == 500 * one.activations


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "densenet40", "mobilenet_v2", "googlenet", "alexnet"])
def test_computing_a_few_images_tells_the_same(name: str) -> None:
    """And draws nothing from the generator, and leaves the network as it was. Of AlexNet the maps, without 59 M weights."""
    side = find(name).size if name == "alexnet" else min(find(name).size, 96)
    network: nn.Module = find(name).build(10, 1)
    if name == "alexnet":
        network = nn.Sequential(network.get_submodule("stem"), network.get_submodule("stages"))
    before, drawn = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    assert layer_table(network, (1, side, side), "cpu") == layer_table(network, (1, side, side))
    for batch in (7, 300):
        words = network, (batch, 1, side, side), "fp32", "adam"
        assert training_memory(*words, "cpu") == training_memory(*words)
    met, told = (training_memory(network, (300, 1, side, side), "bf16", device=d) for d in ("cpu", "meta"))
    assert met.training_bytes == pytest.approx(told.training_bytes, rel=2e-3)  # norms keep statistics in 32 bits
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_memory_counts_what_an_optimizer_keeps_and_bf16_halves_activations() -> None:
    network = find("resnet18").build(10, 3)
    weights = 4 * sum(p.numel() for p in network.parameters())
    for optimizer, tensors in STATE.items():
        assert training_memory(network, (2, 3, 64, 64), "fp32", optimizer).state == tensors * weights
    network = find("resnet20").build(10, 3)
    full, half = (sum(training_memory(network, (64, 3, 32, 32), p).by_path.values()) for p in ("fp32", "bf16"))
    assert half / full == pytest.approx(0.5, abs=0.02)


def test_frozen_parts_get_no_gradients() -> None:
    with torch.device("meta"):
        network = find("vgg11").build(10, 3)
    freeze(network, ["head"])
    trained = 4 * sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert training_memory(network, (1, 3, 32, 32)).gradients <= trained


def test_the_headline_is_the_last_map() -> None:
    assert saccade.inspect("efficientnet_b0", batch=2)["receptive_field"] == []
    assert saccade.inspect("resnet50", batch=2)["receptive_field"] == [427, 427]
    assert saccade.inspect("torchvision.models:vit_b_16", batch=2)["receptive_field"] == []
    assert saccade.inspect("vgg16", batch=2)["receptive_field"] == [212, 212]
    assert saccade.inspect("lenet5_1998", batch=2)["receptive_field"] == [32, 32]


def test_the_batch_that_fits_fits_and_the_next_does_not() -> None:
    found = saccade.inspect("resnet20", batch=4, fit="500MiB")
    network = find("resnet20").build(10, 3)
    used = [training_memory(network, (found["largest_batch"] + more, 3, 32, 32)) for more in (0, 1)]
    assert used[0].training_bytes + used[0].margin <= 500 * 2**20 < used[1].training_bytes + used[1].margin


@pytest.mark.parametrize(("network", "batch"), [("lenet5", 1), ("lenet5", 64), ("resnet18", 64)])
def test_the_parts_of_memory_add_up_as_they_are_printed(network: str, batch: int) -> None:
    found = saccade.inspect(network, batch=batch)
    lines = inspection(found).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("training step of"))
    whole, *parts = (float(line.split()[-2].replace(",", "")) for line in lines[first : first + 6])
    assert sum(parts) == pytest.approx(whole, abs=1e-6)
    assert "margin" in lines[first + 6]
    assert not any(" 0.0 " in line for line in lines[:first])


def test_pictures_and_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["r.svg"], ["r.mmd"], ["r.html"], ["i.svg", "--part", "stages.0.1", "--depth", "3"]):
        name = "googlenet" if "--part" in words else "resnet50"
        assert main(["inspect", name, "--batch", "2", "--draw", str(tmp_path / words[0]), *words[1:]]) == 0
    text = (tmp_path / "r.mmd").read_text()
    assert text.startswith("flowchart TD\n")
    assert text.count("-->") == 9
    assert (tmp_path / "r.svg").read_text().count("<rect") == 10
    inception = (tmp_path / "i.svg").read_text()
    assert inception.count("<rect") == 15
    assert ">cat<" in inception
    page = (tmp_path / "r.html").read_text()
    assert "25,557,032" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_filter_and_arithmetic_from_the_command_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = str(next((data / "clothing-small" / "test" / "hat").iterdir()))
    (tmp_path / "k.txt").write_text("0 0 0\n0 1 0\n0 0 0\n")
    assert main(["filter", photo, "--kernel", str(tmp_path / "k.txt"), "-o", str(tmp_path / "same.png"), "--json"]) == 0
    from PIL import Image

    with Image.open(photo) as before, Image.open(tmp_path / "same.png") as after:
        assert before.convert("RGB").tobytes() == after.tobytes()
    assert main(["arithmetic", "size", "227", "--kernel", "11", "--stride", "4"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "floor((227 + 2*0 - 11) / 4) + 1 = 55"
    assert main(["arithmetic", "parameters", "128", "128", "--kernel", "1x7"]) == 0
    assert capsys.readouterr().out == "1x7x128x128 = 114,688 weights and 128 biases\n"
    for words in (["filter", photo, "--kernel", "blurr", "-o", "x.png"], ["arithmetic", "padding", "9", "--kernel", "4"]):
        assert main(words) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_pictures_of_a_run_are_told_as_totals_are() -> None:
    told = pictured(
        {
            "file": "run/effective.png",
            "part": "stages.1",
            "images": 1200,
            "effective_side": 15.033296378372908,
            "theoretical": [16, 20],
            "files": ["run/maps.png", "run/effective.png"],
        }
    )
    rows = [(line[:36].rstrip(), line[36:]) for line in told.splitlines()]
    assert rows == [
        ("part of the network", "stages.1"),
        ("images", "1,200"),
        ("receptive field", "16x20"),
        ("really used, as a square", "15"),
        ("picture", "run/maps.png"),
        ("picture", "run/effective.png"),
    ]
    assert pictured({"file": "run/maps.png", "files": ["run/maps.png"]}) == f"{'picture':<36}run/maps.png"

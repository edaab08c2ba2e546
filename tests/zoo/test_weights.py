"""Weights of torchvision and timm from files made on the spot."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from saccade import InputError
from saccade.experiment.pretrained import load_pretrained, published, statistics_for
from saccade.optim import decay_groups, freeze
from saccade.zoo import find

IMAGES = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def randomized(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return network.eval()


@torch.inference_mode()
def same(ours: nn.Module, theirs: nn.Module) -> bool:
    return torch.equal(ours.eval()(IMAGES), theirs.eval()(IMAGES))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_file_of_torchvisions_weights_gives_its_logits(tmp_path: Path, name: str, ending: str) -> None:
    """safetensors keeps names, but not their order."""
    theirs = randomized(getattr(torchvision.models, name)(num_classes=7))
    file = tmp_path / f"weights{ending}"
    if ending == ".pth":
        torch.save({"state_dict": theirs.state_dict()}, file)
    else:
        save_file(theirs.state_dict(), file)
    ours = find(name).build(7, 3)
    loaded = load_pretrained(ours, str(file), name)
    assert same(ours, theirs)
    assert loaded.fresh == ()


def test_a_file_of_timms_weights_gives_its_logits(tmp_path: Path) -> None:
    theirs = randomized(timm.create_model("mobilenetv1_100", num_classes=7))
    save_file(theirs.state_dict(), tmp_path / "m.safetensors")
    ours = find("mobilenet_v1").build(7, 3)
    load_pretrained(ours, str(tmp_path / "m.safetensors"), "mobilenet_v1")
    assert same(ours, theirs)


def test_names_that_a_wrapper_has_put_ahead_are_understood(tmp_path: Path) -> None:
    theirs = randomized(torchvision.models.resnet18(num_classes=7))
    save_file({f"module.{name}": t for name, t in theirs.state_dict().items()}, tmp_path / "w.safetensors")
    ours = find("resnet18").build(7, 3)
    load_pretrained(ours, str(tmp_path / "w.safetensors"), "resnet18")
    assert same(ours, theirs)


def test_files_that_hold_no_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "junk.pth").write_text("hello\n")
    torch.save(torchvision.models.resnet18(), tmp_path / "whole.pth")
    for name, answer in (("junk.pth", "no weights can be read"), ("whole.pth", "save network.state_dict\\(\\) alone")):
        with pytest.raises(InputError, match=answer):
            load_pretrained(find("resnet18").build(7, 3), str(tmp_path / name), "resnet18")


def test_auxiliary_classifiers_are_left_where_the_network_has_none(tmp_path: Path) -> None:
    theirs = randomized(torchvision.models.googlenet(num_classes=7, aux_logits=True, init_weights=False))
    save_file(theirs.state_dict(), tmp_path / "g.safetensors")
    ours = find("googlenet_bn").build(7, 3)
    load_pretrained(ours, str(tmp_path / "g.safetensors"), "googlenet_bn")
    assert same(ours, theirs)


def test_other_classes_get_a_fresh_classifier_and_it_is_said(tmp_path: Path) -> None:
    theirs = randomized(torchvision.models.resnet18(num_classes=1000))
    torch.save(theirs.state_dict(), tmp_path / "r.pth")
    ours = find("resnet18").build(7, 3)
    before = ours.head.dense.weight.clone()  # type: ignore[union-attr, operator]
    loaded = load_pretrained(ours, str(tmp_path / "r.pth"), "resnet18")
    assert str(loaded).endswith("head.dense.weight, head.dense.bias start anew, for other classes")
    assert torch.equal(before, ours.head.dense.weight)  # type: ignore[union-attr, arg-type]
    body = torch.nn.Sequential(*list(theirs.children())[:-2])
    with torch.inference_mode():
        assert torch.equal(ours.eval().pyramid(IMAGES)[-1], body(IMAGES))


def test_a_wrong_file_names_the_first_pair_that_does_not_fit(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet34(num_classes=7).state_dict(), tmp_path / "r.pth")
    ours = find("resnet18").build(7, 3)
    before = {name: t.clone() for name, t in ours.state_dict().items()}
    with pytest.raises(InputError, match=r"stages\.1\.0\.body\.0\.conv\.weight \(128, 64, 3, 3\) does not match layer1\.2"):
        load_pretrained(ours, str(tmp_path / "r.pth"), "resnet18")
    assert all(torch.equal(t, before[name]) for name, t in ours.state_dict().items())
    (tmp_path / "x.pth").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"x\.pth: no weights can be read"):
        load_pretrained(ours, str(tmp_path / "x.pth"), "resnet18")
    torch.save([1, 2], tmp_path / "l.pth")
    with pytest.raises(InputError, match="this is no state of a network"):
        load_pretrained(ours, str(tmp_path / "l.pth"), "resnet18")
    with pytest.raises(InputError, match="there is no such file of weights"):
        load_pretrained(ours, "nowhere.pth", "resnet18")


def test_a_download_without_a_network_says_what_else_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody answers
    with pytest.raises(InputError, match="could not be downloaded"):
        load_pretrained(find("resnet18").build(7, 3), "torchvision", "resnet18")


def test_a_url_is_loaded_through_torchs_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    theirs = randomized(torchvision.models.resnet18(num_classes=7))
    torch.save(theirs.state_dict(), tmp_path / "r.pth")
    ours = find("resnet18").build(7, 3)
    load_pretrained(ours, (tmp_path / "r.pth").as_uri(), "resnet18")
    assert same(ours, theirs)


def test_frozen_parts_keep_every_bit_and_rates_multiply() -> None:
    network = find("resnet20").build(3, 3).train()
    frozen = freeze(network, ["stem", "stages.0"])
    assert frozen == sum(p.numel() for part in (network.stem, network.stages[0]) for p in part.parameters())
    groups = decay_groups(network, 0.1, {"stages": 0.5, "stages.2": 0.25})
    assert sorted({group["rate"] for group in groups}) == [0.25, 0.5, 1.0]
    before = {name: t.clone() for name, t in network.state_dict().items()}
    optimizer = torch.optim.SGD(groups, lr=0.1)
    nn.functional.cross_entropy(network.train()(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
    changed = {name for name, t in network.state_dict().items() if not torch.equal(t, before[name])}
    assert changed
    assert not [name for name in changed if name.startswith(("stem", "stages.0."))]
    assert all(name in changed for name in before if name.startswith("head") or name.endswith("2.0.body.0.conv.weight"))
    with pytest.raises(InputError, match=r'no part "stages\.9"'):
        freeze(network, ["stages.9"])


@pytest.mark.parametrize("source", ["torchvision", "timm"])
def test_a_network_without_weights_is_told_which_have_them(source: str) -> None:
    with pytest.raises(
        InputError, match=rf"{source} has no weights for lenet5; it has them for .*resnet18, .*mobilenet_v2"
    ):
        statistics_for(source, "lenet5")


def test_networks_that_share_no_more_than_a_name_have_no_weights() -> None:
    """torchvision's AlexNet has one tower, its GoogLeNet batch norm."""
    assert {"alexnet_one_tower", "googlenet_bn", "vgg11"} <= set(published("torchvision"))
    assert not {"alexnet", "googlenet", "lenet5", "resnet20"} & set(published("torchvision"))

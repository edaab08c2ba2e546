"""Options of networks, and edits of built trees."""

import pytest
import torch
from torch import nn

from saccade import InputError
from saccade.inspection.trace import trace
from saccade.layers import DropPath
from saccade.zoo import find
from saccade.zoo.efficientnet import PUBLISHED, Scaling, compound, scaled, within


def macs(network: nn.Module, side: int) -> int:
    return sum(op.macs for op in trace(network, (1, 3, side, side)))


def test_norm_after_the_activation_changes_the_order_and_nothing_else() -> None:
    before, after = find("resnet20").build(10, 3), find("resnet20:norm=after").build(10, 3)
    assert [name for name, _ in before.stages[0][0].body[0].named_children()] == ["conv", "norm", "act"]
    assert [name for name, _ in after.stages[0][0].body[0].named_children()] == ["conv", "act", "norm"]
    assert {n: p.shape for n, p in before.named_parameters()} == {n: p.shape for n, p in after.named_parameters()}
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(before.eval()(images), after.eval()(images))


def test_the_stride_in_the_1x1_saves_multiply_accumulates_and_no_parameter() -> None:
    ours, published = find("resnet50").build(1000, 3), find("resnet50:stride=1x1").build(1000, 3)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in published.parameters())
    assert (macs(ours, 224), macs(published, 224)) == (4_089_184_256, 3_857_973_248)


def test_the_multipliers_of_mobilenet() -> None:
    """Table 6 and 7 of arXiv:1704.04861, in millions: parameters, and multiply-accumulates by resolution."""
    for width, millions in ((1.0, 4.2), (0.75, 2.6), (0.5, 1.3), (0.25, 0.5)):
        network = find(f"mobilenet_v1:width={width}").build(1000, 3)
        assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)
    network = find("mobilenet_v1").build(1000, 3)
    without_norms = sum(
        p.numel() for m in network.modules() if not isinstance(m, nn.BatchNorm2d) for p in m.parameters(False)
    )
    assert without_norms == 4_210_088
    for side, millions in ((224, 569), (192, 418), (160, 290), (128, 186)):
        assert macs(network, side) / 1e6 == pytest.approx(millions, abs=1)


@pytest.mark.slow
def test_vggs_dense_layers_run_over_images_of_any_size() -> None:
    """On 224 the scores are those of the dense layers; on more, the mean of a map of scores."""
    torch.manual_seed(0)
    dense = find("vgg11").build(5, 3).eval()
    torch.manual_seed(0)
    map_of = find("vgg11:dense=convolutional").build(5, 3).eval()
    shapes = [p.numel() for p in dense.parameters()]
    assert shapes == [p.numel() for p in map_of.parameters()]
    for ours, theirs in zip(map_of.parameters(), dense.parameters(), strict=True):
        ours.data = theirs.data.view(ours.shape)
    with torch.inference_mode():
        images = torch.randn(1, 3, 256, 288)
        crop = images[:, :, :224, :224]
        torch.testing.assert_close(map_of(crop), dense(crop), rtol=1e-4, atol=1e-5)
        scores = map_of.head[:7](map_of.stages(images))
        assert scores.shape == (1, 5, 2, 3)
        torch.testing.assert_close(map_of(images), scores.mean((2, 3)), rtol=1e-4, atol=1e-6)


def test_compound_scaling_is_the_papers() -> None:
    assert compound(0) == PUBLISHED["efficientnet_b0"][0]
    one = compound(1)
    assert (one.depth, one.width, one.resolution) == (1.2, 1.1, 258)
    with torch.device("meta"):
        small, large = (macs(scaled(s, 0.2, 1000, 3), s.resolution) for s in (compound(3), compound(6)))
    assert large / small == pytest.approx((1.2 * 1.1**2 * 1.15**2) ** 3, rel=0.15)  # rounding weighs more in the small one


def test_the_grid_search_stays_within_the_budget_and_uses_it() -> None:
    def cost(scaling: Scaling) -> float:
        return scaling.depth * scaling.width**2 * scaling.resolution**2

    budget = 2 * cost(compound(0))
    found = list(within(budget, cost, step=0.05))
    assert (1.2, 1.1, 1.15) in found
    for alpha, beta, gamma in found:
        assert cost(compound(1, alpha, beta, gamma)) <= budget
        assert gamma == 2 or cost(compound(1, alpha, beta, gamma + 0.05)) > budget


def test_stochastic_depth_drops_whole_branches_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = DropPath(0.25).train()
    out = layer(torch.ones(4000, 2, 3, 3))
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert ((out == 0).flatten(1).all(1) | (out != 0).flatten(1).all(1)).all()
    assert out.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(layer.eval()(out), out)


def test_auxiliary_scores_count_three_tenths_in_training_and_nothing_else() -> None:
    from saccade.tasks import classify

    network = find("googlenet").build(4, 3)
    images, labels = torch.randn(2, 3, 96, 96), torch.tensor([0, 3])
    torch.manual_seed(0)
    scores = network.train()(images)
    expected = classify.loss(scores.main, labels) + 0.3 * sum(classify.loss(each, labels) for each in scores.auxiliary)
    assert len(scores.auxiliary) == 2
    assert classify.loss(scores, labels) == expected
    assert network.eval()(images).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vgg16:dense=cnn", "dense is flat or convolutional"),
        ("mobilenet_v1:width=0", "lies above 0"),
        ("efficientnet:phi=99", "between -3 and 10"),
        ("alexnet:start=zero", "start is he or published"),
        ("lenet5_1998:output=softmax", "output is radial or linear"),
        ("googlenet_bn:auxiliary=yes", "is true or false"),
        ("resnet18:stride=1x1", "in a bottleneck"),
        ("lenet5:x=1", "it has none"),
    ],
)
def test_options_that_cannot_be(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        find(name).build(10, 3)

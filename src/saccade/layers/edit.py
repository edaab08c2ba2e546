"""Variations that belong to no one network: each edits a tree that is already built.

What drops something acts in training alone, and leaves every weight its name: a trained network is evaluated without the
edit. Each edit can be made again with other numbers, and says how many places it found.
"""

from collections.abc import Callable, Iterable, Sequence

from torch import nn

from saccade.errors import InputError
from saccade.layers.drop import DropBlock, DropPath
from saccade.layers.joins import Residual
from saccade.layers.parts import find_part, has_state, put, put_before


def dropout(network: nn.Module, rate: float) -> int:
    """Dropout in front of the layer that gives the scores; where a network has dropout, its rate (0 switches it off).

    Each feature is zeroed with probability `rate` and the others scaled by 1 / (1 - rate), so that their mean stays
    (Srivastava et al. 2014, JMLR 15). InputError where the rate is not in [0, 1).
    """
    check_rate("dropout", rate)
    own = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    for module in own:
        module.p = rate
    if own:
        return len(own)
    leaves = [name for name, each in network.named_modules() if not any(each.children()) and has_state(each)]
    parent, _, last = (leaves or [""])[-1].rpartition(".")
    sequence = network.get_submodule(parent)
    if not isinstance(sequence, nn.Sequential):
        raise InputError("dropout: the layer that gives the scores is not in a sequence, nothing can be put before it")
    put_before(sequence, last, "dropout", nn.Dropout(rate))
    return 1


def spatial_dropout(network: nn.Module, rate: float, parts: Sequence[str] = ()) -> int:
    """Whole channels are dropped, behind every stage or these parts (arXiv:1411.4280, section 3.2).

    Neighbours in a map are alike, so dropping single pixels takes little away. InputError where a part is not there, or
    the rate not in [0, 1).
    """
    check_rate("spatial dropout", rate)
    return put_behind(network, parts, "dropout2d", lambda: nn.Dropout2d(rate))


def drop_blocks(network: nn.Module, rate: float, block: int = 7, parts: Sequence[str] = ()) -> int:
    """DropBlock behind every stage or these parts: squares of `block` pixels are dropped (arXiv:1810.12890).

    The paper drops behind the last two of four stages, and a tenth. InputError where a part is not there, the rate not in
    [0, 1), or the block without a pixel.
    """
    check_rate("DropBlock", rate)
    if block < 1:
        raise InputError(f"DropBlock: a block has a side of one pixel at least, not {block}")
    return put_behind(network, parts, "dropblock", lambda: DropBlock(rate, block))


def stochastic_depth(network: nn.Module, rate: float) -> int:
    """Residual block l of L, in the order of the pass, loses its body with probability `rate * l / L`.

    The linear rule of arXiv:1603.09382, equation 4. InputError where there is no residual block, or the rate not in [0, 1).
    """
    check_rate("stochastic depth", rate)
    blocks = residual_blocks(network)
    if not blocks:
        raise InputError("stochastic depth: the network has no residual block to drop")
    for i, block in enumerate(blocks, start=1):
        drop_path(block, rate * i / len(blocks))
    return len(blocks)


def residual_blocks(network: nn.Module) -> list[Residual]:
    """Those with a body that can be dropped, in the order of the pass."""
    return [each for each in network.modules() if isinstance(each, Residual) and type(each.body) is nn.Sequential]


def drop_paths(blocks: Iterable[nn.Module], rate: float) -> None:
    """The rule of EfficientNet: block i of n, from 0 and the blocks without a shortcut counted, by `rate * i / n`."""
    blocks = list(blocks)
    for i, block in enumerate(blocks):
        if isinstance(block, Residual) and i:
            drop_path(block, rate * i / len(blocks))


def drop_path(block: Residual, p: float) -> None:
    """The last module of the body drops it; what dropped it before is replaced."""
    body = block.body
    assert isinstance(body, nn.Sequential)
    if isinstance(body[-1], DropPath):
        body[-1].p = p
    else:
        body.append(DropPath(p))


def put_behind(network: nn.Module, parts: Sequence[str], name: str, make: Callable[[], nn.Module]) -> int:
    """A module of this name at the end of each part, by default of each stage; how many there are.

    InputError where a part is not there, or where its weights would have to be renamed.
    """
    parts = parts or [f"stages.{each}" for each, _ in find_part(network, "stages").named_children()]
    for part in parts:
        found = find_part(network, part)
        if isinstance(found, Residual):  # its last is the activation of the sum, which has no weight
            part, found = f"{part}.act", found.act
        if type(found) is nn.Sequential:
            found.add_module(name, make())
        elif not has_state(found):
            pair = nn.Sequential()
            pair.add_module("first", found)
            pair.add_module(name, make())
            put(network, part, pair)
        else:
            raise InputError(
                f"{part} is a {type(found).__name__}, behind which nothing can be put; name a stage, a residual block or a "
                "sequence of layers"
            )
    return len(parts)


def check_rate(what: str, rate: float) -> None:
    if not 0 <= rate < 1:
        raise InputError(f"{what}: a rate of at least 0 and below 1, not {rate:g}")


def norm_last(network: nn.Module) -> int:
    """Convolution, activation, norm in every unit that has all three; how many there were."""
    count = 0
    for unit in network.modules():
        if isinstance(unit, nn.Sequential) and list(unit._modules) == ["conv", "norm", "act"]:
            unit._modules = {name: unit._modules[name] for name in ("conv", "act", "norm")}
            count += 1
    return count


def convolutional(dense: nn.Linear, side: int = 1) -> nn.Conv2d:
    """The convolution that does to every `side` x `side` window of a map what `dense` does to one, flattened.

    Weights are taken over; so a classifier can run over an image of any size (arXiv:1409.1556, section 3.2).
    """
    channels = dense.in_features // side**2
    conv = nn.Conv2d(channels, dense.out_features, side, bias=dense.bias is not None)
    conv.weight.data = dense.weight.data.view(conv.weight.shape)
    if dense.bias is not None:
        conv.bias = dense.bias
    return conv

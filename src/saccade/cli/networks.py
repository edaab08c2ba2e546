"""The commands that need no training: networks, their arithmetic, and filters."""

import sys
from argparse import ArgumentTypeError, BooleanOptionalAction
from typing import Any

from saccade.cli.parsing import Parser, answer
from saccade.errors import InputError


def inspect(parser: Parser, words: list[str]) -> int:
    add_inspection(parser)
    options = vars(parser.parse(words))
    names, as_json = options.pop("network"), options.pop("json")
    depth, every = options.pop("depth"), options.pop("every")
    if depth is not None and depth < 1:
        raise InputError(f"depth: at least 1, not {depth}")

    from saccade import commands
    from saccade.inspection.text import inspection, pictured, side_by_side

    files, part = [options.pop("draw"), options.pop("html")], options.pop("part")
    maps, images = options.pop("maps"), options.pop("effective")
    check_together(names, files, part, [maps, images], options)
    made = [commands.show_maps(names[0], maps)] if maps else []
    made += [commands.effective(names[0], images, part=part)] if images else []
    if made:
        found = {**made[-1], "files": [each["file"] for each in made]}
        return answer(found, as_json, pictured)
    for file in filter(None, files):
        drawn = commands.draw(names[0], file, depth or 2, part, **options)
        print(f"wrote {drawn['file']}", file=sys.stderr)
    records = [commands.inspect(name, **options) for name in names]
    if len(records) > 1:
        return answer({"networks": records}, as_json, lambda result: side_by_side(result["networks"]))
    return answer(records[0], as_json, lambda record: inspection(record, depth, every))


def add_inspection(parser: Parser) -> None:
    parser.add_argument(
        "network", nargs="+", metavar="NETWORK", help="a name, a run folder, or module:callable; or several"
    )
    parser.add_argument("--input", metavar="CxHxW", help="the images, such as 3x224x224 (default: those of the network)")
    parser.add_argument("--classes", type=int, metavar="N", help="default 1000, or 10 for networks of up to 64 px")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="images of the training step (default 64)")
    parser.add_argument("--precision", default="fp32", metavar="P", help="fp32 or bf16")
    parser.add_argument("--optimizer", default="momentum", metavar="O", help="sgd, momentum, adagrad, rmsprop, adam, ...")
    parser.add_argument("--fit", metavar="MEMORY", help="tell the largest batch for this memory, such as 8GiB")
    parser.add_argument("--time", action="store_true", help="predict the seconds of the step on this machine, too")
    parser.add_argument("--depth", type=int, metavar="N", help="one line for each module of this depth")
    parser.add_argument("--draw", metavar="FILE", help="write a picture, .svg or .mmd (Mermaid)")
    parser.add_argument("--html", metavar="FILE", help="write a page with the table and the picture")
    parser.add_argument("--part", default="", metavar="PATH", help="draw this module alone, unfolded, such as stages.0.1")
    parser.add_argument(
        "--maps", metavar="IMAGE", help="of a run: write maps.png, its filters and what it makes of an image"
    )
    parser.add_argument(
        "--effective", nargs="+", metavar="IMAGE", help="of a run: write effective.png, the pixels that it really uses"
    )
    parser.add_argument("--every", action="store_true", help="a line for every call, activations and sums too")


def check_together(
    names: list[str], files: list[str | None], part: str, pictures: list[Any], options: dict[str, Any]
) -> None:
    """InputError for options of which one would be ignored."""
    if len(names) > 1 and any((*files, *pictures, part)):
        raise InputError("--draw, --html, --part, --maps and --effective: one network at a time")
    if part and not any((*files, pictures[1])):
        raise InputError("--part says what to draw: it comes with --draw, --html or --effective")
    if any(pictures) and any((*files, options["fit"], options["time"])):
        raise InputError("--maps and --effective are pictures of a run; ask for --fit, --time, --draw and --html apart")
    if files[1] and not files[1].endswith(".html"):
        raise InputError(f"--html: a page ends in .html, not {files[1]}")


def networks(parser: Parser, words: list[str]) -> int:
    options = parser.parse(words)

    from saccade import commands

    def table(rows: list[dict[str, Any]]) -> str:
        lines = [f"{'network':<18}{'parameters':>12}{'MACs':>16}  {'input':<10}  {'options':<14}paper"]
        for row in rows:
            size, options = "x".join(map(str, row["input"])), ", ".join(row["options"])
            lines.append(
                f"{row['network']:<18}{row['parameters']:>12,}{row['macs']:>16,}  {size:<10}  {options:<14}{row['paper']}"
            )
        return "\n".join([*lines, "", "An option follows the name: --network mobilenet_v1:width=0.5"])

    return answer(commands.networks(), options.json, table)


def filter_(parser: Parser, words: list[str]) -> int:
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    parser.add_argument(
        "--kernel", required=True, metavar="K", help="blur, sharpen, emboss, outline, sobel, or a text file"
    )
    parser.add_argument("--mode", default="same", metavar="M", help="valid, same (default) or full")
    parser.add_argument("--flip", action=BooleanOptionalAction, default=True, help="convolve (default), or correlate")
    parser.add_argument("-o", "--out", required=True, metavar="OUT", help="the image file to write")
    options = parser.parse(words)

    from saccade import commands

    found = commands.filter(options.image, options.kernel, options.out, options.mode, options.flip)
    return answer(found, options.json, lambda r: f"{r['file']}: {r['height']}x{r['width']}, {r['how']} with {r['kernel']}")


QUESTIONS = {
    "size": "INPUT --kernel K [--stride --padding --dilation]: the size of the output",
    "transposed": "INPUT --kernel K [--stride --padding --dilation --output-padding]: of a transposed convolution",
    "padding": "INPUT --kernel K [--wanted N --stride --dilation]: the padding for same, or for a wanted size",
    "parameters": "CIN COUT --kernel K or KxL [--groups G --size N]: weights and multiply-accumulates of a layer",
    "bottleneck": "CIN COUT --kernel K --through MID: what a 1x1 convolution before it saves",
    "stack": "CHANNELS --kernel K: n stacked 3x3 against one large kernel",
}


def kernel_of(word: str) -> int | tuple[int, int]:
    """3, or 1x7: height before width."""
    try:
        first, between, second = word.partition("x")
        return (int(first), int(second)) if between else int(first)
    except ValueError:
        raise ArgumentTypeError(f'a side such as 3, or two such as 1x7, not "{word}"') from None


def arithmetic(parser: Parser, words: list[str]) -> int:
    parser.epilog = "; ".join(f"{name} {text}" for name, text in QUESTIONS.items())
    parser.add_argument("question", metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("numbers", type=int, nargs="*", metavar="N")
    names = "kernel stride padding dilation output_padding wanted groups size through".split()
    for name in names:
        kind = kernel_of if name == "kernel" else int
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N")
    options = vars(parser.parse(words))
    given = {name: options[name] for name in names if options[name] is not None}

    from saccade import commands

    found = commands.arithmetic(options["question"], *options["numbers"], **given)
    return answer(found, options["json"], lambda r: r["text"])

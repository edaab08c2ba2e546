"""The commands that train and use what was trained, and the way to all others.

Built on argparse: with tyro, which reads the same typed recipe, `saccade train --help` took 0.85 s here against 0.25 s.
"""

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saccade.cli import ensembles, studies
from saccade.cli import networks as networks_
from saccade.cli.parsing import SUMMARIES, Parser, answer, show
from saccade.errors import InputError, suggestion

CODES = """Exit codes: 0 done; 2 not done as asked, and a line says why (input, a full disk, a training that
diverges, nothing left to compare); 130 stopped by Ctrl-C; 1 a fault of Saccade's."""
VIEWS = "the mean over several views of each image: mirror, five, ten or shifts (default: the centre alone)"


def program() -> int:
    """`main` as the whole of a process."""
    code = main()
    gc.freeze()  # at its end the interpreter would look through all that torch has made, for most of a second
    return code


def main(words: list[str] | None = None) -> int:
    """Run a command; 0 when done, 2 when it cannot be done as asked (see `CODES`), 130 when interrupted."""
    words = sys.argv[1:] if words is None else words
    for stream in (sys.stdout, sys.stderr):  # file names need not be UTF-8, and a terminal need not be either
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(words)
    except InputError as error:
        print(f"saccade: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("saccade: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a file that may not be read, a disk that is full, wherever it is met
        if error.filename is None and error.errno is None:
            raise
        print(f"saccade: {error.filename or 'this machine'}: {error.strerror}", file=sys.stderr)
        return 2


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        from saccade import __version__

        print(f"saccade {__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name not in SUMMARIES:
        raise InputError(f'there is no command "{name}"{suggestion(name, SUMMARIES)} (see `saccade --help`)')
    return COMMANDS[name](Parser(name), rest)


def overview() -> str:
    rows = "\n".join(f"  {name:<14} {text}" for name, text in SUMMARIES.items())
    return (
        "usage: saccade COMMAND ...\n\n"
        "Trains convolutional networks on your images and says honestly how good they are.\n\n"
        f"{rows}\n\n"
        "Start with `saccade train digits`, or `saccade train FOLDER` with a folder for each class.\n"
        f"`saccade COMMAND --help` explains a command.\n{CODES}"
    )


def train(parser: Parser, words: list[str]) -> int:
    parser.add_argument("--out", metavar="DIR", help="the run folder (default runs/<time>-<network>-<data>)")
    options, given = parser.parse_recipe(words)

    from saccade import commands

    return trained(commands.train(options.data, options.out, **given), options.json)


def trained(work: Any, as_json: bool) -> int:
    from saccade.events import Interrupted

    try:
        return answer(show(work), as_json, summary)
    except Interrupted as stop:
        print(f"\nstopped; nothing is lost: saccade resume {stop}", file=sys.stderr)
        return 130


def summary(record: dict[str, Any]) -> str:
    """The verdict in one or two lines."""
    part = "test" if "test" in record["scores"] else "validation"
    if part not in record["scores"]:
        return f"trained; nothing was held back to measure it. {record['run']}"
    score = record["scores"][part]["accuracy"]
    return (
        f"{part} accuracy {score['value']:.4f} "
        f"(95 % interval {score['low']:.4f} to {score['high']:.4f}, n = {score['n']:,}), {record['seconds']:.0f} s"
    )


def resume(parser: Parser, words: list[str]) -> int:
    parser.add_argument("run", metavar="RUN", help="the folder of the run")
    options = parser.parse(words)

    from saccade import commands

    return trained(commands.resume(options.run), options.json)


def evaluate(parser: Parser, words: list[str]) -> int:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument("data", nargs="?", metavar="DATA", help="labelled images; unset: the run's own test part")
    parser.add_argument("--views", default="center", metavar="V", help=VIEWS)
    options = parser.parse(words)

    from saccade import commands

    return answer(show(commands.evaluate(options.run, options.data, options.views)), options.json, table_of_scores)


def table_of_scores(record: dict[str, Any]) -> str:
    from saccade.wording import SCORES

    lines = []
    if not record["scores"]:
        return "no scores: nothing was held back from training to measure this run by; name labelled images to score it on"
    for part, scores in record["scores"].items():
        where = part.replace("_", " ")
        for name, s in scores.items():
            lines.append(
                f"{where:<11} {SCORES[name][0]:<18} {s['value']:.4f}  ({s['low']:.4f} to {s['high']:.4f}, n = {s['n']:,})"
            )
    return "\n".join(lines)


def predict(parser: Parser, words: list[str]) -> int:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, or folders of them")
    parser.add_argument("--csv", metavar="FILE", help="write every probability to this file")
    parser.add_argument("--views", default="center", metavar="V", help=VIEWS)
    options = parser.parse(words)

    from saccade import commands
    from saccade.writing import check_output, write_text

    if options.csv:
        check_output(Path(options.csv), ".csv")
    found = show(commands.predict(options.run, options.images, options.views))
    for left in found.left_out:
        print(f"left out: {left.file}: {left.reason}", file=sys.stderr)
    if options.csv:
        write_text(Path(options.csv), commands.predictions_csv(found))
        print(f"wrote {options.csv}", file=sys.stderr)
    left_out = [{"file": left.file, "reason": left.reason} for left in found.left_out]
    return answer(
        {"predictions": commands.prediction_rows(found), "left_out": left_out},
        options.json,
        lambda result: "\n".join(f"{r['file']}  {r['class']}  {r['probability']:.3f}" for r in result["predictions"]),
    )


def export(parser: Parser, words: list[str]) -> int:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument("--to", default="onnx", metavar="FORMAT", help="onnx")
    parser.add_argument("--out", metavar="FILE", help="where to write (default: into the run folder)")
    parser.add_argument("--data", metavar="DATA", help="labelled images to verify it on (default: the run's own)")
    options = parser.parse(words)

    from saccade import commands

    return answer(
        show(commands.export(options.run, options.to, options.out, options.data)),
        options.json,
        lambda r: f"wrote {r['file']}: largest difference of a score {r['largest_difference']:.2g} on {r['images']} images",
    )


def doctor(parser: Parser, words: list[str]) -> int:
    parser.add_argument("data", metavar="DATA", help="as for train")
    parser.add_argument("--group", metavar="COLUMN", help="column of a CSV whose values should not be in two parts")
    options = parser.parse(words)

    from saccade import commands

    return answer(show(commands.doctor(options.data, group=options.group)), options.json, diagnosis)


def diagnosis(result: dict[str, Any]) -> str:
    lines = [f"{result['used']:,} images can be used, {len(result['left_out']):,} are left out"]
    for name, parts in result["classes"].items():
        lines.append(f"  {name}: " + ", ".join(f"{count:,} {part}" for part, count in parts.items()))
    lines += [f"  {left['file']}: {left['reason']}" for left in result["left_out"]]
    for finding in result["findings"]:
        lines.append(f"{finding['kind']}: {finding['text']}")
    if not result["findings"]:
        lines.append("nothing odd was found")
    return "\n".join(lines)


def sharpness(parser: Parser, words: list[str]) -> int:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument(
        "--images", type=int, metavar="N", help="training images in each subsample (default 256, or what there is)"
    )
    parser.add_argument("--subsamples", type=int, default=5, metavar="S", help="disjoint subsamples (default 5)")
    parser.add_argument("--surface", action="store_true", help="picture the loss around the weights, too (takes longer)")
    parser.add_argument("--precision", default="float32", metavar="P", help="float32 (default) or float64")
    parser.add_argument("--data", metavar="DATA", help="where the training images are (default: the run's own)")
    options = vars(parser.parse(words))
    as_json, run = options.pop("json"), options.pop("run")

    from saccade import commands

    def in_words(record: dict[str, Any]) -> str:
        from saccade.report.sharpness import sharpness_text

        return sharpness_text(record)

    return answer(show(commands.sharpness(run, **options)), as_json, in_words)


COMMANDS: dict[str, Callable[[Parser, list[str]], int]] = {
    "train": train,
    "resume": resume,
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
    "doctor": doctor,
    "sharpness": sharpness,
    "tune-rate": studies.tune_rate,
    "race": studies.race,
    "ablate": studies.ablate,
    "compare": studies.compare,
    "crossval": studies.crossval,
    "bag": ensembles.bag,
    "boost": ensembles.boost,
    "bias-variance": studies.bias_variance,
    "learning-curve": studies.learning_curve,
    "inspect": networks_.inspect,
    "filter": networks_.filter_,
    "arithmetic": networks_.arithmetic,
    "networks": networks_.networks,
}

if __name__ == "__main__":
    sys.exit(main())

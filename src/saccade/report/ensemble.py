"""The section of an ensemble: its members, what they gain together, the score out of bag, and how sure they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saccade.report.charts import HEIGHT, LEFT, RIGHT, WIDTH, Frame, svg
from saccade.report.html import count, percent, section, signed, table, tag, text

Record = dict[str, Any]
MEASURES = {
    "entropy": ("entropy", "nats; all that is unknown"),
    "mutual_information": ("mutual information", "nats; what the members disagree on"),
    "spread": ("spread", "deviation over members of the probability of the named class"),
}


def members(record: Record) -> str:
    """Nothing for a single network."""
    if "ensemble" not in record:
        return ""
    parts = [gained(record), picture_of(record), out_of_bag(record), rows(record["members"]), surety(record)]
    return section("The members", *parts)


def repeated(record: Record, file: Path) -> str:
    """The command that does this run again."""
    asked = len(record.get("members", ())) + len(record.get("failed", ()))
    command = f"{record['ensemble']} --members {asked}" if "ensemble" in record else "train"
    return tag("p", f"Repeat it: <code>saccade {command} --recipe {text(file)}</code>")


def gained(record: Record) -> str:
    if "gain" not in record:
        return ""
    gain, every = record["gain"], record["members"]
    words = (
        f"Accuracy of the {len(every)} members together, less that of {gain['over']}, in points: {signed(gain['value'])} "
        f"(95 % interval {signed(gain['low'])} to {signed(gain['high'])}, for these networks, on the same "
        f"{count(gain['n'])} {gain['part']} images)."
    )
    return tag("p", words)


def picture_of(record: Record) -> str:
    part = next((each for each in ("test", "validation") if each in record["scores"]), None)
    if part is None:
        return ""
    if record["ensemble"] == "boost":
        return grown(record["members"])
    alone = [row["accuracy"][part] for row in record["members"]]
    together = {"together": record["scores"][part]["accuracy"]["value"]}
    return tag("div", beside(alone, together, part), class_="charts")


def frame_of(values: Sequence[float], columns: int) -> Frame:
    margin = (max(values) - min(values)) * 0.1 or 0.01
    return Frame((0.5, columns + 0.5), (max(0.0, min(values) - margin), min(1.0, max(values) + margin)))


def beside(alone: Sequence[float], together: dict[str, float], part: str) -> str:
    """A dot for each member alone, a line for what they are together."""
    frame = frame_of([*alone, *together.values()], len(alone))
    dots = "".join(
        f'<circle class="dot dot0" cx="{frame.x(i):.1f}" cy="{frame.y(value):.1f}" r="4"/>'
        for i, value in enumerate(alone, 1)
    )
    y = frame.y(together["together"])
    line = f'<line class="line line1" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    legend = tag("span", "a member", class_="key key0") + tag("span", "all together", class_="key key1")
    return chart(f"Accuracy on {part} images", frame.heights() + numbers(frame, len(alone)) + line + dots, legend)


def grown(every: Sequence[Record]) -> str:
    """By the number of members: the accuracy of each alone and of all so far; and the weighted error of each."""
    together = [row["validation_together"] for row in every]
    found = ""
    if None not in together:
        alone = [row["accuracy"]["validation"] for row in every]
        found = lines("Accuracy on validation images", [("all so far", together), ("alone", alone)])
    return tag(
        "div", found + lines("Weighted error on training images", [("", [row["error"] for row in every])]), class_="charts"
    )


def lines(title: str, several: Sequence[tuple[str, Sequence[float]]]) -> str:
    frame = frame_of([value for _, values in several for value in values], len(several[0][1]))
    parts = [frame.heights(), numbers(frame, len(several[0][1]))]
    for k, (_, values) in enumerate(several):
        points = [(frame.x(i), frame.y(value)) for i, value in enumerate(values, 1)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line line{k}" points="{path}"/>')
        parts += [f'<circle class="dot dot{k}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
    legend = "".join(tag("span", name, class_=f"key key{k}") for k, (name, _) in enumerate(several) if name)
    return chart(title, "".join(parts), legend)


def numbers(frame: Frame, columns: int) -> str:
    parts = []
    for i in range(1, columns + 1):
        if columns <= 15 or i % (columns // 10) == 0:
            place = f'x="{frame.x(i):.1f}" y="{HEIGHT - 30}" text-anchor="middle"'
            parts.append(f'<text class="tick" {place}>{i}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    return "".join(parts) + f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">member</text>'


def chart(title: str, inner: str, legend: str) -> str:
    return tag("figure", tag("figcaption", tag("b", text(title)) + legend) + svg(title, inner))


def out_of_bag(record: Record) -> str:
    found = record.get("out_of_bag")
    if found is None:
        return ""
    if not found["images"]:
        words = "No score out of bag: of every image or its group, each member has drawn some."
        return tag("p", words)
    score = found["scores"]["accuracy"]
    words = (
        f"Out of bag: {tag('b', percent(score['value']))} named correctly (95 % interval {percent(score['low'])} to "
        f"{percent(score['high'])}), of {count(found['images'])} of the {count(found['of'])} training images, each scored "
        f"only by the members that did not draw it: {found['members']:.1f} on average, of {len(record['members'])}."
    )
    return tag("p", words)


def rows(every: Sequence[Record]) -> str:
    cells = []
    for i, row in enumerate(every, 1):
        own = [f"{row['error']:.4f}", f"{row['vote']:.2f}"] if "vote" in row else []
        scores = [percent(row["accuracy"].get(part)) for part in ("validation", "test")]
        cells.append([f"{i} {tag('small', text(row['run']))}", str(row["seed"]), *own, *scores, f"{row['seconds']:.1f} s"])
    voted = ("weighted error", "vote") if "vote" in every[0] else ()
    return table(("member", "seed", *voted, "validation accuracy", "test accuracy", "training"), cells)


def surety(record: Record) -> str:
    if "uncertainty" not in record:
        return ""
    cells = [
        [
            f"{text(title)} {tag('small', text(meaning))}",
            *(number(record["uncertainty"][name][key]) for key in ("right", "wrong")),
        ]
        for name, (title, meaning) in MEASURES.items()
    ]
    words = (
        "Where the members disagree, look yourself. Means of what <code>saccade predict</code> gives for each image, "
        f"over the {record['gain']['part']} images."
    )
    return tag("p", words) + table(("uncertainty", "of images named rightly", "wrongly"), cells)


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"

"""A report says what the numbers say, in one file that asks the network for nothing."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from torch.utils.tensorboard import SummaryWriter

from duet_rl.errors import InputError
from duet_rl.generate.charts import Curve
from duet_rl.generate.view import DanceScene
from duet_rl.metrics.bootstrap import Interval
from duet_rl.metrics.cell import Cell
from duet_rl.report.data import Column, Difference, ReportData, Stage, TableRow
from duet_rl.report.facts import machine_facts, read_tensorboard
from duet_rl.report.page import write_report
from duet_rl.report.verdict import verdict
from tests.couple import stepping_couple

TOTAL = Column("reward/total", "total reward", "", "higher", "Rewards")
SLIDE = Column("foot_slide", "foot slide", "m/s", "lower", about="speed of planted feet")
LOW, MIDDLE, HIGH = Interval(0.5, 0.48, 0.52), Interval(0.53, 0.5, 0.56), Interval(0.7, 0.68, 0.72)


def data(before: Interval, after: Interval, **more) -> ReportData:
    rows = [
        TableRow("true partner", {"reward/total": Cell(Interval(0.9, 0.9, 0.9))}),
        TableRow("pretrained", {"reward/total": Cell(before), "foot_slide": Cell(LOW)}),
        TableRow("RL", {"reward/total": Cell(after), "foot_slide": Cell(HIGH)}),
    ]
    return ReportData(**{"title": "A run", "columns": [TOTAL, SLIDE], "rows": rows, **more})


class Page(HTMLParser):
    """Collects the text of a page, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.skipping = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skipping = tag if tag in ("script", "style") else ""
        self.links += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_data(self, data: str) -> None:
        if not self.skipping and data.strip():
            self.texts.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        self.skipping = ""


@pytest.mark.parametrize(
    ("before", "after", "kind", "words"),
    [
        (LOW, HIGH, "better", r"beats the pretrained.*0\.700.*0\.500.*do not overlap"),
        (HIGH, LOW, "worse", r"falls behind the pretrained.*0\.500.*0\.700.*do not overlap"),
        (LOW, MIDDLE, "open", r"did not settle.*that is better, but.*overlap"),
        (MIDDLE, LOW, "open", r"did not settle.*that is worse, but.*overlap"),
    ],
)
def test_the_verdict_follows_the_numbers_whichever_way_they_fall(before, after, kind, words):
    said = verdict(data(before, after))
    assert said.kind == kind and re.search(words, said.text)


def test_less_of_a_measure_that_should_be_low_is_better():
    assert verdict(data(LOW, HIGH, decides="foot_slide")).kind == "worse"


def test_without_an_rl_follower_there_is_no_verdict():
    assert verdict(replace(data(LOW, HIGH), after="another one")).kind == "none"


def test_the_page_holds_the_whole_run_and_refers_to_nothing_outside(tmp_path):
    couple = stepping_couple(1.0)
    whole = data(
        LOW,
        HIGH,
        title="Salsa <run>",
        curves=[Curve("reward/foot", [0, 1, 2], [0.1, math.nan, 0.3], "rl")],
        stages=[Stage("pose", 75.2, "600 steps"), Stage("rl", 3725.0)],
        scenes=[DanceScene("waltz", couple.leader, {"after RL": couple.follower})],
        settings="rl:\n  lr: 0.0003\n",
        facts={"machine": "two cores"},
        notes=["6 clips & 3 seeds"],
    )
    write_report(tmp_path / "report.html", whole)
    page = Page((tmp_path / "report.html").read_text())
    text = "\n".join(page.texts)
    assert page.links == []
    for said in (
        *("Salsa <run>", "beats the pretrained", "total reward", "0.480 to 0.520", "foot slide"),
        *(
            "reward/foot",
            "1 min 15 s",
            "1 h 02 min",
            "lr: 0.0003",
            "two cores",
            "6 clips & 3 seeds",
        ),
    ):
        assert said in text, said
    assert "{{" not in text


def test_a_row_without_a_measure_has_a_dash_and_not_a_zero(tmp_path):
    write_report(tmp_path / "report.html", data(LOW, HIGH))
    text = (tmp_path / "report.html").read_text()
    row = r'<th scope="row">true partner</th><td title="([^"]*)">-</td></tr>'
    (partner,) = re.findall(row, text)
    assert partner == "not measured"


def test_an_empty_cell_says_why_it_is_empty(tmp_path):
    why = "6 windows in 72 dimensions; at least 73 are wanted"
    row = TableRow("RL", {"foot_slide": Cell(None, "6 windows", why)})
    whole = replace(data(LOW, HIGH), rows=[row], gaps=[f"foot slide: {why}"])
    write_report(tmp_path / "report.html", whole)
    text = (tmp_path / "report.html").read_text()
    assert f'<td title="{why}">-</td>' in text and f"foot slide: {why}" in text


RUNS = {"runs": ("pretrained", "RL")}


def test_runs_side_by_side_are_told_apart_by_their_pairs_and_not_by_their_intervals():
    gain = Difference("RL", "pretrained", Interval(0.03, 0.01, 0.05))
    said = verdict(data(LOW, MIDDLE, differences=[gain], **RUNS))
    assert said.kind == "better" and re.search(
        r"^RL: total reward 0\.530.*0\.030.*over pretr", said.text
    )
    chance = gain._replace(interval=Interval(0.03, -0.01, 0.07))
    said = verdict(data(LOW, MIDDLE, differences=[chance], **RUNS))
    assert said.kind == "open" and "not settled against pretrained" in said.text


def test_of_runs_the_one_with_less_slide_is_the_best():
    gain = Difference("pretrained", "RL", Interval(-0.2, -0.3, -0.1))
    said = verdict(data(LOW, HIGH, differences=[gain], decides="foot_slide", **RUNS))
    assert said.kind == "better" and said.text.startswith("pretrained: foot slide")


def test_one_run_alone_is_told_without_a_verdict():
    assert verdict(data(LOW, HIGH, runs=("RL",))).kind == "none"


def test_a_report_without_dances_is_small(tmp_path):
    write_report(tmp_path / "report.html", data(LOW, HIGH))
    assert (tmp_path / "report.html").stat().st_size < 60_000


def test_tensorboard_scalars_come_back_by_folder_tag_and_series(tmp_path):
    for place, tags in (("pose", ("loss", "val/loss")), ("rl", ("reward/foot",))):
        with SummaryWriter(str(tmp_path / place)) as writer:
            for step in range(20):
                for factor, tag in enumerate(tags, start=1):
                    writer.add_scalar(tag, factor * step / 8, step)
    train, held_out, reward = read_tensorboard(tmp_path, group="demo")
    assert [(c.group, c.name, c.series) for c in (train, held_out, reward)] == [
        ("demo / pose", "loss", "train"),
        ("demo / pose", "loss", "validation"),
        ("demo / rl", "reward/foot", ""),
    ]
    assert list(held_out.steps) == list(range(20))
    assert list(held_out.values) == [step / 4 for step in range(20)]


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="TensorBoard"):
        read_tensorboard(tmp_path / "nothing")


def test_the_facts_name_the_machine_and_the_versions():
    facts = machine_facts()
    assert "CPU cores" in facts["machine"] and facts["torch"][0].isdigit()

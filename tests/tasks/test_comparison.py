"""Tables of a paper's numbers and ours, their verdicts, and lines with intervals."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from inrzoo.tasks import Comparison, Measurement, draw_lines, over_runs, paired_difference


def measured(mean: float, interval: float, name: str = "5-way") -> Measurement:
    return Measurement(name, mean, interval, 1000)


def test_columns_of_the_paper_stand_only_where_it_has_numbers(tmp_path: Path) -> None:
    page = Comparison(tmp_path / "page.md", "Table", ["5-way", "10-way"])
    page.add("ours alone", {"5-way": measured(50, 1), "10-way": measured(30, 0.25)})
    page.add("both", {"5-way": measured(60, 1)}, (62.86, None))
    page.write("Words.")
    lines = (tmp_path / "page.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert lines[:3] == ["## Table", "", "Words."]
    assert cells[0] == ["", "5-way, paper", "here", "10-way"]
    assert cells[2:] == [["ours alone", "", "50.0 ± 1.0", "30.0 ± 0.2"], ["both", "62.86", "60.0 ± 1.0", ""]]


def test_every_recipe_has_its_column_beside_the_paper_s(tmp_path: Path) -> None:
    page = Comparison(tmp_path / "page.md", "Table", ["5-way", "10-way"], recipes=["paper's recipe", "ours"])
    page.add("both", [{"5-way": measured(60, 1)}, {"5-way": measured(70, 1), "10-way": measured(40, 1)}], (62.86, None))
    with pytest.raises(ValueError, match="1 tables of measurements"):
        page.add("one", {"5-way": measured(60, 1)})
    page.write()
    lines = (tmp_path / "page.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert cells[0] == ["", "5-way, paper", "paper's recipe", "ours", "10-way, paper's recipe", "ours"]
    assert cells[2:] == [["both", "62.86", "60.0 ± 1.0", "70.0 ± 1.0", "", "40.0 ± 1.0"]]


@pytest.mark.parametrize(
    "better, verdict", [(51.5, "held"), (51.3, "undecided"), (48.7, "undecided"), (48.5, "not held")]
)
def test_a_finding_is_held_beyond_the_interval_of_the_difference(tmp_path: Path, better: float, verdict: str) -> None:
    """√(1² + 1²) = 1.414."""
    page = Comparison(tmp_path / "page.md", "Table", ["5-way"])
    page.check("more is more", measured(better, 1), measured(50, 1))
    page.write()
    assert (
        f"* more is more: **{verdict}** (5-way: {better} against 50.0, difference {better - 50:+.1f} ± 1.4)"
        in (tmp_path / "page.md").read_text()
    )


def test_what_two_runs_of_a_pair_share_does_not_widen_the_interval(tmp_path: Path) -> None:
    """Means that differ by 1, 2 and 3 beside seeds that differ by 20: Student's t of two degrees is 4.303."""
    first, second = ([measured(mean, 0) for mean in means] for means in ((41, 62, 83), (40, 60, 80)))
    paired = paired_difference(first, second)
    assert (paired.mean, paired.trials) == (2, 3)
    assert paired.interval == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)
    better, worse = (over_runs([{"5-way": one} for one in runs])["5-way"] for runs in (first, second))
    assert better.interval > 40
    page = Comparison(tmp_path / "page.md", "Table", ["5-way"])
    page.check("apart", better, worse)
    page.check("paired", better, worse, paired)
    page.write()
    text = (tmp_path / "page.md").read_text()
    assert "* apart: **undecided**" in text and "difference +2.0 ± 2.5)" in text.partition("* paired")[2]
    with pytest.raises(ValueError):
        paired_difference(first, second[:2])


def test_numbers_below_a_long_axis_do_not_stand_on_each_other(tmp_path: Path) -> None:
    """Rows of pixels below the axis have gaps between the numbers, however many points there are."""
    for count in (15, 60):
        draw_lines(tmp_path / "long.png", {"a": {2.25 * i: measured(50, 1) for i in range(count)}}, "steps", "accuracy")
        picture = matplotlib.image.imread(tmp_path / "long.png")[..., :3].min(axis=-1)
        below = picture[int(0.89 * len(picture)) : int(0.92 * len(picture))]
        inked = (below < 0.5).any(axis=0)
        starts = np.flatnonzero(np.diff(inked.astype(int)) == 1)
        assert starts.size and np.diff(np.flatnonzero(inked)).max() > 10, count


def test_lines_are_a_picture_with_ink_for_every_line(tmp_path: Path) -> None:
    one = {1: measured(50, 1), 5: measured(70, 1)}
    draw_lines(tmp_path / "one.png", {"a": one}, "shots", "accuracy")
    draw_lines(
        tmp_path / "sub" / "two.png", {"a": one, "b": {1: measured(40, 1), 5: measured(45, 1)}}, "shots", "accuracy"
    )
    first, second = (matplotlib.image.imread(tmp_path / name)[..., :3] for name in ("one.png", "sub/two.png"))
    assert first.shape == second.shape
    orange = [np.abs(picture - [1, 127 / 255, 14 / 255]).max(axis=-1) < 0.05 for picture in (first, second)]
    assert orange[0].sum() == 0 < orange[1].sum()  # the colour of the second line

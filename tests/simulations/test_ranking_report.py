"""What the report says of recommending."""

import copy
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from covey_simulations.evaluation import paired_comparison
from covey_simulations.evaluation.paired_comparison import Lead
from covey_simulations.report import pages, ranking_charts, terminal_summary
from covey_simulations.report.chart_style import label_of

EXAMPLE = json.loads(Path(__file__).with_name("example_report.json").read_text("utf-8"))
EVEN, BETTER, WORSE = [-0.01, 0.01], [0.01, 0.02], [-0.02, -0.01]


@pytest.fixture
def found() -> dict[str, Any]:
    return copy.deepcopy(EXAMPLE)


@pytest.fixture(scope="module")
def example() -> str:
    return pages.render_page(EXAMPLE)


def section(page: str, language: str = "en") -> str:
    """Return the words of the section in one language, markup and white space aside."""
    text = page.partition("What training together gained")[2].partition("<h2>")[0]
    other = {"en": "zh-Hans", "zh-Hans": "en"}[language]
    text = re.sub(rf'<span lang="{other}">(?:(?!</?span).)*</span>', "", text, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.2, "ahead"), (-0.2, -0.1, "behind"), (-0.1, 0.1, "even"), (0.0, 0.1, "even"), (-0.1, 0, "even")],
)
def test_a_lead_is_beyond_chance_only_where_its_interval_leaves_zero_out(
    low: float, high: float, verdict: str
) -> None:
    assert Lead("popularity", "recall_at_10", 0.0, low, high).verdict == verdict


def test_a_lead_is_ours_minus_theirs(found: dict[str, Any]) -> None:
    task = found["recommender"]["new"]
    lead = paired_comparison.leads_by_rival(task)["alone"]["ndcg_at_10"]
    assert lead.gap == task["ndcg_at_10"]["federated"] - task["ndcg_at_10"]["alone"]
    assert [lead.low, lead.high] == task["interval"]["alone"]["ndcg_at_10"]


def test_each_rival_gets_its_verdict_in_words_in_both_languages(found: dict[str, Any]) -> None:
    said = {
        "popularity": (EVEN, "no difference that chance would not give", "没有超出偶然的差别"),
        "alone": (BETTER, "better, beyond chance", "更好，超出偶然"),
        "noiseless": (WORSE, "worse, beyond chance", "更差，超出偶然"),
    }
    for rival, (ends, _, _) in said.items():
        found["recommender"]["new"]["interval"][rival]["recall_at_10"] = ends
    page = pages.render_page(found)
    for rival, (_, en, zh) in said.items():
        against = section(page).partition(f"Against “{label_of('ranker', rival)}”")[2]
        assert against.partition("Recall@10 : ")[2].startswith(en)
        against = section(page, "zh-Hans").partition(f"对比 “{label_of('ranker', rival, 'zh')}”")[2]
        assert against.partition("召回 ： ")[2].startswith(zh)


def test_the_caption_sorts_the_rivals_by_verdict(example: str) -> None:
    caption = section(example).partition("against each: ")[2]
    assert caption.startswith(
        "Better, beyond chance: “The phone alone”. "
        "Worse, beyond chance: “Best sellers, exact”, “The same, no noise”."
    )


def test_one_round_says_that_it_knows_nobodys_taste(found: dict[str, Any], example: str) -> None:
    assert "all phones share one order" not in section(example)
    found["recommender"]["form"] = "one_round"
    found["rounds"] = found["rounds"][:3]
    said = section(pages.render_page(found))
    assert "all phones share one order and leave out what they own" in said
    assert "That is below 5,000" in said
    assert "in one round" in said


def faces(svg: str) -> list[str]:
    """Return the fill of each dot of a chart, in the order drawn."""
    return re.findall(r'<use [^>]*style="fill: (#\w+)', svg)


@pytest.mark.parametrize(("ends", "face"), [(EVEN, "#ffffff"), (BETTER, "#0072b2"), (WORSE, "#e69f00")])
def test_the_dot_of_a_lead_tells_its_verdict(found: dict[str, Any], ends: Any, face: str) -> None:
    task = found["recommender"]["again"]
    task["interval"] = {"popularity": dict.fromkeys(paired_comparison.METRICS, ends)}
    assert faces(ranking_charts.leads("again", paired_comparison.leads_by_rival(task))).count(face) == 2


def test_one_round_is_a_hollow_dot_and_the_run_a_diamond(found: dict[str, Any]) -> None:
    drawn = faces(ranking_charts.effect("recall_at_10", found["recommender"]))
    assert (drawn.count("#ffffff"), drawn.count("#0072b2")) == (3 + 1, 1)


def test_the_simulated_line_is_called_one(example: str) -> None:
    assert "The line is no run of the protocol: a central simulation" in section(example)
    assert "simulation only" in section(example).partition("What epsilon does")[2][:30]


def bars(svg: str) -> list[tuple[str, float, float]]:
    """Return each bar's colour, left end and right end, in the drawing's units."""
    path = r'<path d="M ([\d.]+) [\d.]+\s+L ([\d.]+) [^"]*z\s*"[^>]*style="fill: (#\w+)'
    return [(colour, *sorted((float(one), float(other)))) for one, other, colour in re.findall(path, svg)]


def test_reasons_are_bars_that_add_up_on_each_side_of_zero() -> None:
    amounts = {"popular": 1.0, "adopted": 2.0, "goes_with": -0.5, "surprise": -1.0}
    reasons = [{"code": code, "amount": amount} for code, amount in amounts.items()]
    svg = ranking_charts.reasons("new", [{"item": "TEA", "score": 1.5, "reasons": reasons}])
    drawn = {colour: ends for colour, *ends in bars(svg)}
    popular, adopted, against, other = (drawn[c] for c in ("#0072b2", "#56b4e9", "#009e73", "#d9d9d9"))
    assert popular[1] == pytest.approx(adopted[0], abs=0.01)
    assert against[1] == pytest.approx(popular[0], abs=0.01)
    assert other[1] == pytest.approx(against[0], abs=0.01)
    assert adopted[1] - adopted[0] == pytest.approx(2 * (popular[1] - popular[0]), abs=0.01)


def test_an_empty_list_says_so(found: dict[str, Any]) -> None:
    found["recommender"]["list"] |= {"new": [], "again": []}
    said = section(pages.render_page(found))
    assert said.count("Nothing to rank.") == 2
    assert said.count("Nothing.") == 2


def test_a_purpose_is_held_against_its_own_cap_and_everyone_against_the_total(example: str) -> None:
    for said in (
        "“Be counted in combined totals” has used 1.55 of 2.00",
        "“Help to improve the model” has used 7.90 of 8.00",
        "“All purposes together” has used 9.45 of 10.00",
        "“参与改进模型”已用 7.90，上限 8.00",
    ):
        assert said in example


def test_a_weak_promise_is_called_weak(found: dict[str, Any], example: str) -> None:
    assert "That is a weak promise" in example
    found["epsilon"]["per_person_max"] = 1.5
    assert "That is a weak promise" not in pages.render_page(found)


def test_training_rounds_stand_apart_and_are_named(example: str) -> None:
    questions, training = example.partition("How a total is opened")[2].split("<caption>")[1:3]
    assert "Training, step 3: every item&#39;s place" in training
    assert "Training" not in questions
    assert "First question" not in training


def test_only_the_questions_are_said_to_miss_phones_that_agreed(example: str) -> None:
    said = example.partition("Phones that agreed and are missing.")[2].partition("They sent")[0]
    assert said.count(" of ") == 2
    assert "12 of 683" in said
    assert "8 of 649" in said
    assert "611" not in said


def test_the_terminal_says_who_is_ahead_and_what_training_cost(found: dict[str, Any]) -> None:
    console = Console(record=True, width=160, file=io.StringIO())
    terminal_summary.print_summary(found, console)
    text = " ".join(console.export_text().split())
    assert re.search(r"Best sellers, exact .* 7\.37 .* 9\.69 .* worse, beyond chance", text)
    assert re.search(r"What one bought most .* no difference that chance would not give", text)
    assert re.search(r"This run, in private .* 6\.68 .* 9\.51", text)
    assert "at most epsilon 9.45 of 10" in text
    assert "29 withdrew from training; their phones sent 0 contributions" in text
    assert "First on the list of household 1228: SANDWICH MEAT. Many people buy this." in text

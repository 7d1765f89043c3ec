"""What a run won and what it lost, in English and Chinese: the first thing that its report says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from covey_simulations.evaluation import paired_comparison
from covey_simulations.report.chart_style import label_of

CLOSE = 0.1
"""A released figure that is off by no more than this share of the truth counts as close."""

_TASKS = {"new": ("what is new to a household", "家庭从未买过的"), "again": ("what to buy again", "再次购买")}
_OUTCOMES: Mapping[str, Literal["won", "lost", "even"]] = {"ahead": "won", "behind": "lost", "even": "even"}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One thing that was won, lost, or neither."""

    outcome: Literal["won", "lost", "even"]
    en: str
    zh: str


def draw_conclusions(report: Mapping[str, Any]) -> tuple[Conclusion, ...]:
    """Return the verdicts on a run: its recommender against each rival, its counts, its promises."""
    return (*_ranking(report["recommender"]), *_counting(report["analytics"]), *_promises(report))


def absence_proved(withdrawn: Mapping[str, Any]) -> bool:
    """Whether the phones that withdrew made certificates of absence, and every one verified."""
    made, left = withdrawn["certificates"]["made"], withdrawn["count"] + withdrawn["train"]["count"]
    return bool(withdrawn["certificates"]["verified"] == made and (made or not left))


def _ranking(found: Mapping[str, Any]) -> Iterator[Conclusion]:
    for task, (en, zh) in _TASKS.items():
        recall = found[task]["recall_at_10"]
        for rival, by_metric in paired_comparison.leads_by_rival(found[task]).items():
            verdict = by_metric["recall_at_10"].verdict
            ranker, ranker_zh = label_of("ranker", rival), label_of("ranker", rival, "zh")
            points = f"{100 * recall['federated']:.2f} : {100 * recall[rival]:.2f}"
            yield Conclusion(
                _OUTCOMES[verdict],
                f"Recall@10 for {en}, against “{ranker}”: {points}, {label_of('verdict', verdict)}",
                f"Recall@10，{zh}，对比“{ranker_zh}”：{points}，{label_of('verdict', verdict, 'zh')}",
            )


def _counting(asked: Mapping[str, Any]) -> Iterator[Conclusion]:
    released, truth = asked["q20"]["released"], asked["q20"]["truth"]
    known = [(figure, truth[key]) for key, figure in released.items() if figure is not None and truth[key]]
    most = max((abs(figure - true) / true for figure, true in known), default=None)
    if most is not None:
        yield Conclusion(
            "won" if most <= CLOSE and len(known) == len(released) else "lost",
            f"The typical customer: {len(known)} of {len(released)} medians released, "
            f"off by {most:.1%} at most",
            f"典型顾客：{len(released)} 个中位数公布了 {len(known)} 个，误差最多 {most:.1%}",
        )
    groups, true = asked["q1"]["released"], asked["q1"]["truth"]
    shown = {key: count for key, count in groups.items() if count is not None}
    hidden = len(groups) - len(shown)
    yield Conclusion(
        "lost" if hidden else "won",
        f"Small groups: {hidden} of {len(groups)} are not shown, because noise could make them up",
        f"小分组：{len(groups)} 组中有 {hidden} 组不予公布，因为噪声足以造出它们",
    )
    if shown:
        key = max(shown, key=lambda each: abs(shown[each] - true[each]))
        gap = abs(shown[key] - true[key])
        yield Conclusion(
            "won" if gap <= CLOSE * true[key] else "lost",
            f"The worst group shown, “{label_of('segment', key)}”, is off by {gap:,} of {true[key]:,} people",
            f"误差最大的分组“{label_of('segment', key, 'zh')}”：{true[key]:,} 人中相差 {gap:,} 人",
        )


def _promises(report: Mapping[str, Any]) -> Iterator[Conclusion]:
    left = report["withdrawn"]
    after = left["contributions_after"] + left["train"]["contributions_after"]
    many = left["count"] + left["train"]["count"]
    yield Conclusion(
        "lost" if after else "won",
        f"Changing one's mind: {many} withdrew, and their phones sent {after} contributions after that",
        f"改变主意：{many} 人撤回同意，此后他们的手机共贡献 {after} 次",
    )
    made, verified = left["certificates"]["made"], left["certificates"]["verified"]
    yield Conclusion(
        "won" if absence_proved(left) else "lost",
        f"Proof of having left: {made} certificates that a phone is in no later set, {verified} verified",
        f"已退出的证明：{made} 份证书证明手机不在此后任何名单中，{verified} 份核验通过",
    )
    rounds = report["rounds"]
    proved = sum(played["integrity_proved"] for played in rounds)
    yield Conclusion(
        "won" if proved == len(rounds) else "lost",
        f"The sums: in {proved} of {len(rounds)} rounds enough decryptors agreed to rule out a wrong one",
        f"合计：{len(rounds)} 轮中有 {proved} 轮，结果一致的解密方足以排除错误的合计",
    )
    spent = report["epsilon"]
    yield Conclusion(
        "won" if spent["per_person_max"] <= spent["cap"] else "lost",
        f"Privacy spent: ε {spent['per_person_max']:.2f} at most, of {spent['cap']:g} that the notices allow",
        f"隐私花费：ε 最多 {spent['per_person_max']:.2f}，告知书允许 {spent['cap']:g}",
    )
    verified = report["log"]["verified"] and report["sums_checked"]
    yield Conclusion(
        "won" if verified else "lost",
        f"The proof {'holds: check it yourself below' if verified else 'does NOT hold'}",
        f"证明{'成立：可按下文自己核验' if verified else '不成立'}",
    )

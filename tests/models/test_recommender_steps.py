import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey_models import Catalogue, ModelError
from covey_models.recommender import on_device, release, steps
from covey_models.recommender.on_device import Base

NORM = 1 + 1e-9
PINNED = ["7023eecc23243bb2", "4f28d2c0732f8c24", "62a7fd63bcd4610a"]


def catalogue_of(items):
    return Catalogue(tuple(f"item {place}" for place in range(items)))


def base_of(items, seed=0):
    counts = np.random.Generator(np.random.PCG64(seed)).uniform(0.01, 100, items)
    return Base(counts / counts.sum(), np.full(items, 0.1))


def axes_of(base, seed=0, count=2):
    return np.random.Generator(np.random.PCG64([seed, 1])).normal(size=(len(base.top), count))


def steps_of(items, seed=0):
    catalogue, base = catalogue_of(items), base_of(items, seed)
    return (
        steps.base_step(catalogue),
        steps.gram_step(catalogue, base),
        steps.half_step(catalogue, base, axes_of(base, seed)),
    )


def facts_of(names, adopted=None):
    names = frozenset(names)
    return {"items": names, "adopted": names if adopted is None else frozenset(adopted)}


@st.composite
def households(draw):
    """A shop's three steps and one history: nothing, a single item, everything, or some."""
    items = draw(st.integers(1, 200))
    names = [f"item {place}" for place in range(items)]
    some = st.sets(st.sampled_from(names)).map(frozenset)
    one = st.sampled_from(names).map(lambda name: frozenset({name}))
    bought = draw(st.one_of(st.just(frozenset()), one, st.just(frozenset(names)), some))
    adopted = draw(st.sets(st.sampled_from(sorted(bought)))) if bought else ()
    return steps_of(items, draw(st.integers(0, 99))), facts_of(bought, adopted)


class TestContributions:
    @settings(deadline=None, max_examples=150)
    @given(households())
    def test_they_keep_to_their_length_norm_and_entries(self, household):
        steps, facts = household
        for step in steps:
            vector, (low, high) = step.contribute(facts), step.entries
            assert vector.shape == (step.length,)
            assert step.norm == 1.0
            assert np.linalg.norm(vector) <= NORM
            assert vector.min() >= low - 1e-9
            assert vector.max() <= high + 1e-9

    @pytest.mark.parametrize("facts", [{}, facts_of(()), facts_of({"unknown"}), {"items": None}])
    def test_nothing_known_is_nothing_added(self, facts):
        for step in steps_of(30):
            assert not step.contribute(facts).any()

    def test_whoever_bought_something_speaks_as_loud_as_anyone(self):
        """Messages are normalised, not clipped: two items or two hundred, the norm is 1."""
        first, gram, half = steps_of(200)
        for count in (2, 20, 150):
            facts = facts_of(f"item {place}" for place in range(count))
            assert np.linalg.norm(gram.contribute(facts)) == pytest.approx(1)
            assert np.linalg.norm(half.contribute(facts)) == pytest.approx(1)
            popularity = first.contribute(facts)[:200]
            assert np.linalg.norm(popularity) == pytest.approx(steps.WEIGHTS["popularity"])

    def test_the_first_vector_can_be_as_long_as_its_norm(self):
        names = {f"item {place}" for place in range(on_device.LONGEST)}
        assert np.linalg.norm(steps_of(500)[0].contribute(facts_of(names))) == pytest.approx(1)

    def test_the_gram_weighs_pairs_as_the_matrix_does(self):
        """Off the diagonal each entry stands for two: without sqrt 2 the norm falls short of 1."""
        _, gram, _ = steps_of(40)
        vector = gram.contribute(facts_of({"item 3", "item 8"}))
        rows, columns = np.triu_indices(40)
        matrix = np.zeros((40, 40))
        matrix[rows, columns] = vector * np.where(rows == columns, 1, 1 / math.sqrt(2))
        matrix += np.triu(matrix, 1).T
        assert np.linalg.norm(vector) == pytest.approx(1)
        assert np.linalg.eigvalsh(matrix)[[0, -2, -1]] == pytest.approx([0, 0, 1], abs=1e-9)

    def test_the_first_vector_is_popularity_adoption_and_scalars(self):
        step = steps.base_step(catalogue_of(4))
        vector = step.contribute(facts_of({"item 0", "item 2"}, {"item 2"}))
        weights, half = steps.WEIGHTS, math.sqrt(0.5)
        assert vector[:4] == pytest.approx(np.array([half, 0, half, 0]) * weights["popularity"])
        assert vector[4:8] == pytest.approx(np.array([0, 0, 0.25, 0]) * weights["adoption"])
        scalars = np.array([1, 2 / on_device.LONGEST]) / on_device.SCALARS_NORM * weights["scalars"]
        assert vector[8:] == pytest.approx(scalars)


def test_the_weights_squares_and_the_shares_add_up_to_one():
    assert sum(weight**2 for weight in steps.WEIGHTS.values()) == pytest.approx(1)
    assert sum(steps.SHARES.values()) == pytest.approx(1)
    assert list(steps.SHARES) == list(steps.BUILDS_ON)


def test_the_first_sum_gives_back_what_was_added_up():
    """Without noise, `first_sum` reads popularity, adoption and scalars as `base` does from them apart."""
    draw = np.random.Generator(np.random.PCG64(3))
    bought = draw.random((60, 30)) < np.linspace(0.05, 0.9, 30)
    adopted = bought & (draw.random((60, 30)) < 0.3)
    total = sum(map(steps.first_vector, bought, adopted))
    read = release.first_sum(total, 0.0, None)
    counts = release.popularity(sum(map(on_device.popularity, bought)), 0.0, None)
    apart = release.base(
        counts, sum(map(on_device.adoption, adopted)), sum(map(on_device.scalars, bought)), 0.0, None
    )
    assert read.popularity == pytest.approx(apart.popularity, rel=1e-12)
    assert read.rate == pytest.approx(apart.rate, rel=1e-12)


class TestDigests:
    def test_they_are_pinned(self):
        """What a person's phone adds is in these; another digest is another question."""
        digests = [step.digest().hex()[:16] for step in steps_of(5)]
        assert digests == PINNED

    def test_every_parameter_changes_them(self, monkeypatch):
        step = steps_of(5)[0]
        digests = {step.digest()}
        changes = {
            "id": "p1-other",
            "purposes": frozenset({"train"}),
            "english": "other",
            "chinese": "别的",
            "builds_on": (),
            "catalogue": catalogue_of(6),
        }
        for name, value in changes.items():
            digests.add(dataclasses.replace(step, **{name: value}).digest())
        for name, value in (
            ("SHARES", {**steps.SHARES, steps.BASE: 0.41}),
            ("WEIGHTS", {**steps.WEIGHTS, "scalars": 0.3}),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(steps, name, value)
                digests.add(step.digest())
        monkeypatch.setattr(on_device, "TOP", 149)
        digests.add(step.digest())
        assert len(digests) == 10

    def test_more_axes_are_another_question(self):
        catalogue, base = catalogue_of(5), base_of(5)
        two, three = (steps.half_step(catalogue, base, axes_of(base, count=n)) for n in (2, 3))
        assert two.digest() != three.digest()

    def test_the_words_are_in_both_languages(self):
        for step in steps_of(5):
            assert step.english.isascii()
            assert any("一" <= sign <= "鿿" for sign in step.chinese)


class TestSanity:
    """What may be released of a sum of 500 devices."""

    PEOPLE = 500

    @staticmethod
    def honest(step, people=PEOPLE):
        draw = np.random.Generator(np.random.PCG64(people))
        names = np.array(step.catalogue.items)
        histories = (names[draw.random(len(names)) < 0.2] for _ in range(people))
        return sum(step.contribute(facts_of(map(str, each))) for each in histories)

    @pytest.mark.parametrize("place", range(3))
    @pytest.mark.parametrize("sd", [0.0, 0.5, 300.0])
    def test_honest_sums_pass_with_noise_six_deviations_out(self, place, sd):
        step = steps_of(60)[place]
        noise = np.random.Generator(np.random.PCG64(7)).normal(size=step.length) * sd
        noise[:2] = 6 * sd, -6 * sd
        step.require_sane(self.honest(step) + noise, self.PEOPLE, sd)

    @pytest.mark.parametrize("place", range(3))
    def test_as_much_as_all_can_add_passes(self, place):
        step = steps_of(60)[place]
        most = np.zeros(step.length)
        most[0] = self.PEOPLE
        step.require_sane(most, self.PEOPLE, 0.0)

    @pytest.mark.parametrize("place", range(3))
    def test_a_wrapped_entry_is_refused(self, place):
        step, sd = steps_of(60)[place], 3.0
        for wrapped in (self.PEOPLE + 7.1 * sd, -self.PEOPLE - 7.1 * sd):
            total = self.honest(step)
            total[1] = wrapped
            with pytest.raises(ModelError, match="outside what 500 devices"):
                step.require_sane(total, self.PEOPLE, sd)

    def test_no_device_takes_away_from_what_only_adds(self):
        step = steps_of(60)[0]
        total = np.zeros(step.length)
        total[4] = -22.0
        with pytest.raises(ModelError, match="outside"):
            step.require_sane(total, self.PEOPLE, 3.0)

    @pytest.mark.parametrize("place", range(3))
    def test_a_sum_longer_than_its_people_is_refused(self, place):
        """Every entry within its bounds, but all of them together too much."""
        step = steps_of(60)[place]
        total = np.full(step.length, self.PEOPLE * 0.6)
        with pytest.raises(ModelError, match="longer than 500 devices"):
            step.require_sane(total, self.PEOPLE, 3.0)

    @pytest.mark.parametrize("place", range(3))
    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
    def test_what_is_not_finite_is_refused(self, place, wrong):
        step = steps_of(60)[place]
        total = self.honest(step, 20)
        total[-1] = wrong
        with pytest.raises(ModelError, match="finite"):
            step.require_sane(total, self.PEOPLE, 3.0)

    def test_another_length_is_refused(self):
        step = steps_of(60)[0]
        with pytest.raises(ModelError, match=r"finite \(122,\)"):
            step.require_sane(np.zeros(121), self.PEOPLE, 3.0)

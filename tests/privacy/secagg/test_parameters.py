"""What a committee costs and how likely it fails, held against scipy and the prototype's measurements."""

import math

import pytest
from scipy.stats import hypergeom

from covey_privacy.errors import MisuseError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.lattice import estimate_pad
from covey_privacy.secagg.parameters import describe_plan, estimate_seconds, plan_committee, traffic
from covey_privacy.secagg.shape import Shape

PROTOTYPE = """
    55 16 3   400   1024   2.1 0.02 0.05  11.4  3.8 0.16
    55 16 3   400 100000  11.9 0.16 0.05 313.2  3.8 0.26
    60 19 3  1000   1024   2.4 0.03 0.14  12.0  4.1 0.39
    64 20 4  2469  25000   4.4 0.30 0.34  90.9  4.4 1.60
    65 21 4 10000 100000   9.2 3.84 1.35 315.9  4.5 6.48
    91 19 5   400  25000   5.3 0.06 0.05 106.0  6.1 0.26
   105 24 6  1000   1024   3.8 0.05 0.14  23.4  7.0 0.39
   105 24 6  1000  25000   5.8 0.15 0.14 111.0  7.0 0.65
   105 24 6  1000 100000  10.6 0.41 0.15 336.0  7.0 0.65
   110 26 6  2469   1024   3.8 0.11 0.33  24.3  7.3 0.97
   113 27 6 10000   1024   4.0 0.56 1.39  24.9  7.5 3.92
   113 27 6 10000 100000  11.1 4.15 1.48 338.7  7.5 6.48
"""
"""m, T, e, phones, length; then measured: phone ms, coordinator s, decryptor s, phone up kB, phone down kB,
decryptor down MB. The prototype's messages had no salt (32 B less), its leaves had 96 B instead of 128 B, and
it counted 104 B more for a committee's file."""


@pytest.mark.parametrize("row", [line.split() for line in PROTOTYPE.strip().splitlines()])
def test_bytes_are_the_prototypes_but_for_salt_and_leaf(row):
    members, privacy, corrects, phones, length = map(int, row[:5])
    up, down, decryptor = map(float, row[8:])
    found = traffic(Shape(members, privacy, 16, corrects), length, phones)
    assert (found.phone_up - 32) / 1e3 == pytest.approx(up, abs=0.06)
    assert (found.phone_down + 104) / 1e3 == pytest.approx(down, abs=0.06)
    assert found.phone_down_with_tickets - found.phone_down == members * (416 - 64)
    assert (found.decryptor_down - 32 * phones) / 1e6 == pytest.approx(decryptor, abs=0.006)


@pytest.mark.parametrize("row", [line.split() for line in PROTOTYPE.strip().splitlines()])
def test_seconds_are_near_the_prototypes(row):
    members, privacy, corrects, phones, length = map(int, row[:5])
    phone, coordinator, decryptor = map(float, row[5:8])
    found = estimate_seconds(Shape(members, privacy, 16, corrects), length, phones)
    assert found.phone * 1e3 == pytest.approx(phone, rel=0.25)
    assert found.coordinator == pytest.approx(coordinator, rel=0.35, abs=0.02)
    assert found.decryptor == pytest.approx(decryptor, rel=0.1, abs=0.01)


def test_a_plan_has_the_shape_and_its_chances():
    plan = plan_committee(1000, 900, 0.05, 0.3, 25_000)
    assert plan.shape == Shape(108, 26, 16, 6)
    assert (plan.corrupt, plan.answers) == (50, 54)
    chances = plan.chances
    assert chances.corrupt_exceed == pytest.approx(math.log2(hypergeom.sf(25, 900, 50, 108)), abs=1e-6)
    assert chances.answers_miss == pytest.approx(math.log2(hypergeom.cdf(53, 900, 630, 108)), abs=1e-6)
    below = math.log2(hypergeom.cdf(41, 900, 630, 108))
    assert chances.answers_below_threshold == pytest.approx(below, abs=1e-6)
    assert chances.integrity_unproved == pytest.approx(math.log2(hypergeom.cdf(67, 900, 630, 108)), abs=1e-6)
    assert chances.corrupt_exceed <= -40
    assert chances.answers_miss <= -20
    assert plan.lattice_bits == estimate_pad().core_svp_bits


def test_a_short_vector_needs_no_lattice_and_what_cannot_happen_has_no_chance():
    plan = plan_committee(1000, 350, 0.02, 0.3, 2048)
    assert plan.lattice_bits is None
    assert plan.chances.corrupt_exceed is None
    lines = "\n".join(describe_plan(plan))
    assert "decryptors: never" in lines
    assert "no lattice" in lines
    assert "refuse a drawn committee alone below 400" in lines
    longer = "\n".join(describe_plan(plan_committee(20_000, 900, 0.001, 0.3, 2049)))
    assert "243 bits by core-SVP" in longer
    assert "at most 10,000 phones" in longer


@pytest.mark.parametrize(
    ("numbers", "rule"),
    [
        ((1000, 1001), Rule.ARGUMENT),
        ((1000, 0), Rule.ARGUMENT),
        ((1000, 900, 1.0), Rule.ARGUMENT),
        ((1000, 900, 0.05, math.nan), Rule.ARGUMENT),
        ((1000, 900, 0.05, 0.3, 0), Rule.ARGUMENT),
        ((1000, 900, 0.05, 0.3, 2**24 + 1), Rule.ARGUMENT),
        ((10_000, 5000), Rule.COMMITTEE_SHAPE),
    ],
)
def test_what_cannot_be_planned(numbers, rule):
    with pytest.raises(MisuseError) as refused:
        plan_committee(*numbers)
    assert refused.value.rule is rule

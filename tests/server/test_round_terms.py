"""Plans of rounds in one message: sound terms within their floors, or the reason why there are none."""

import pytest

from covey_privacy.floors import PRODUCTION, TEST
from covey_privacy.secagg.shape import require_shape
from covey_privacy.secagg.terms import Kind
from covey_server.errors import ConfigError
from covey_server.round_terms import CommitteePolicy, Durations, Population, honest, least_set, terms_for

KEYS = tuple(bytes([number]) * 32 for number in range(1, 5))
NONCE = b"n" * 32


def policy(organisations=KEYS, drawn=False, gamma=0.05, lost=0.5, turnout=0.8, **more):
    return CommitteePolicy(organisations, drawn, gamma, lost, turnout, **more)


def planned(issued, profile=PRODUCTION, length=1024, steps=256.0, purpose="analytics", **chosen):
    people = Population(issued, issued)
    return terms_for(policy(**chosen), profile, purpose, people, length, steps, NONCE)


@pytest.mark.parametrize("issued", [260, 1000, 9_500])
@pytest.mark.parametrize("kinds", ["standing", "drawn", "both"])
def test_terms_are_sound_and_hold_what_they_say(issued, kinds):
    drawn = kinds != "standing"
    if drawn and issued == 260:
        pytest.skip("of so few phones no committee is drawn: see below")
    terms = planned(issued, organisations=KEYS if kinds != "drawn" else (), drawn=drawn, lost=0.3)
    terms.require_sound()
    assert terms.kinds == {
        "standing": (Kind.STANDING,), "drawn": (Kind.DRAWN,), "both": (Kind.STANDING, Kind.DRAWN)
    }[kinds]  # fmt: skip
    assert terms.issued >= issued
    assert terms.corrupt == int(0.05 * terms.issued)
    assert terms.least_set == terms.honest + terms.corrupt + 1 == int(0.8 * issued)
    assert terms.least_set >= PRODUCTION.least_cohort("analytics")
    for band in terms.bands:
        for volunteers in {band.least_volunteers, band.most_volunteers}:
            require_shape(band.shape, volunteers, terms.corrupt, terms.lost)
    if drawn:
        assert terms.bands[-1].most_volunteers == terms.issued
        assert terms.drawn_shape(issued) in {band.shape for band in terms.bands}


def test_a_longer_vector_drops_what_the_noise_bears():
    assert planned(1000, length=2048).drop == 0
    assert planned(1000, length=100_000, steps=2.0**18).drop >= 7
    with pytest.raises(ConfigError, match="scale vectors by a larger factor"):
        planned(1000, length=100_000, steps=256.0)


def test_too_few_phones_for_the_floor_are_said_so():
    with pytest.raises(ConfigError, match=r"249 phones hold tickets, of which 199 are expected .* needs 200"):
        planned(249)
    assert planned(250).least_set == 200


def test_more_phones_than_a_round_takes_are_said_so():
    assert planned(12_000).least_set == 9_600
    with pytest.raises(ConfigError, match=r"10400 phones are expected .* one round takes 10000"):
        planned(13_000)


def test_without_honest_noise_no_round_is_planned():
    with pytest.raises(ConfigError, match="no honest noise is left"):
        planned(60, profile=TEST, gamma=0.5, turnout=0.5)


def test_a_committee_drawn_alone_needs_the_profiles_pool():
    with pytest.raises(ConfigError, match="needs 400 volunteers; 300 phones hold tickets"):
        planned(300, organisations=(), drawn=True, lost=0.3)
    assert planned(900, organisations=(), drawn=True, lost=0.3).bands[0].least_volunteers >= 400


def test_where_no_committee_is_safe_the_reason_is_given():
    with pytest.raises(ConfigError, match="no round can be planned for 60 phones"):
        planned(60, profile=TEST, organisations=(), drawn=True, gamma=0.3, lost=0.5)


def test_a_round_without_a_committee_is_refused():
    with pytest.raises(ConfigError, match="needs a committee"):
        planned(1000, organisations=())


def test_two_organisations_alone_are_no_committee():
    with pytest.raises(ConfigError, match="3 to 9 members"):
        planned(1000, organisations=KEYS[:2])


def test_the_noise_is_sized_for_the_honest_of_the_least_set():
    chosen = policy()
    people = Population(1000, 1000)
    assert honest(chosen, PRODUCTION, "analytics", people) == 800 - 52 - 1
    assert least_set(chosen, PRODUCTION, "analytics", people) == 800


def test_corrupt_phones_are_counted_among_those_with_tickets_and_comers_among_those_who_still_allow():
    chosen, people = policy(), Population(issued=1000, willing=900)
    assert least_set(chosen, PRODUCTION, "analytics", people) == 720
    assert honest(chosen, PRODUCTION, "analytics", people) == 720 - 52 - 1


def test_windows_follow_each_other():
    windows = Durations(600, 3600, 1200, 1200).windows_from(1_000_000)
    assert windows.in_order
    assert (windows.volunteer, windows.open) == (1_000_600, 1_006_600)

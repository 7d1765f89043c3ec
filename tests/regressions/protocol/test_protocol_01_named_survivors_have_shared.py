"""A survivor set names devices whose vectors are not in the sum: whoever can see that refuses to sign it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from covey_models import QUERIES
from covey_privacy.errors import ServerError
from covey_privacy.five_phases import graph
from covey_privacy.profile import PRODUCTION
from covey_sdk.invitation import Invited, check
from covey_server.errors import ConfigError


def _fail_with(kept, opened):
    pytest.fail(f"{len(kept)} of 60 devices opened {opened[0]} and signed 60 survivors")


def test_named_survivors_have_shared(hollow):
    """The coordinator withholds parcels, opens the sum over the rest, and names everyone a survivor."""
    played = hollow()
    assert len(played.kept) < 55
    with pytest.raises(ServerError, match="did not share") as refused:
        _fail_with(played.kept, played.opened(played.kept, set(range(60))))
    assert refused.value.rule == "survivors-shared"


def test_a_vector_left_out_under_a_set_that_names_its_sender_opens_nothing(hollow):
    """All parcels are delivered, so that all masks are in the vectors; without the rest they stay there."""
    played = hollow()
    everyone = set(range(60))
    opened = played.opened(everyone, everyone)
    assert not np.array_equal(opened, np.full(3, len(played.kept)))


def test_a_set_that_names_just_the_rest_is_below_the_floor(hollow):
    played = hollow()
    with pytest.raises(ServerError, match="the noise is sized for at least 57") as refused:
        played.opened(played.kept, played.kept)
    assert refused.value.rule == "survivors-noise"


def checked(manifest):
    check(Invited(manifest, bytes(32)), QUERIES["q1"], (), PRODUCTION)


def test_a_phone_caps_the_dropout_that_a_manifest_may_state(planned):
    checked(planned())
    with pytest.raises(ServerError, match=r"dropout is 0\.42; this phone asks for 0\.05 at most") as refused:
        checked(replace(planned(), dropout=0.42))
    assert refused.value.rule == "manifest-floor"


def test_a_phone_refuses_fewer_honest_survivors_than_the_manifest_itself_plans_for(planned):
    """Else a roster of 200 stands for a sum over 12, whatever its least cohort."""
    with pytest.raises(ServerError, match="honest is 1; this phone asks for 179"):
        checked(replace(planned(), honest=1))


@pytest.mark.parametrize(("people", "turnout"), [(200, 0.5), (213, 0.95), (401, 0.6), (5000, 1.0)])
def test_what_a_coordinator_plans_is_what_a_phone_takes(planned, people, turnout):
    checked(planned(people=people, turnout=turnout))


def test_a_coordinator_plans_no_more_dropout_than_phones_take(planned):
    with pytest.raises(ConfigError, match=r"dropout is 0\.06; phones .* take part for 0\.05"):
        planned(dropout=0.06)


@pytest.mark.parametrize("size", [*range(50, 400, 7), 500, 1000, 3000, 10_000, 60_000])
def test_at_the_greatest_dropout_more_than_two_thirds_of_a_neighbourhood_open_a_secret(size):
    """Where the ring is cut in two by two survivor sets, nobody's masks at the cut can then be opened."""
    degree, threshold = graph.parameters(size, PRODUCTION.least_gamma, PRODUCTION.most_dropout)
    assert 3 * threshold > 2 * degree


def opened_at_a_border(degree, threshold):
    """Say whether every secret can be opened around a place where the ring is cut in two survivor sets.

    Devices below 0 sign one set, the others another; nobody is corrupt, nobody drops out.
    """
    half, reach = degree // 2, 3 * degree

    def near(place):
        return [place + step for step in range(-half, half + 1) if step]

    opens = {
        place: sum((peer < 0) == (place < 0) for peer in near(place)) >= threshold
        for place in range(-reach, reach)
    }
    return all(
        sum(opens[peer] for peer in near(place)) >= threshold for place in range(-reach + half, reach - half)
    )


@pytest.mark.parametrize("size", [60, 100, 200, 500, 1000, 3000, 10_000, 60_000])
def test_a_coordinator_alone_cannot_show_two_parts_of_the_ring_two_sets(size):
    """docs/threats.md says so, and that it could in rounds which plan for a dropout of 0.1."""
    assert not opened_at_a_border(*graph.parameters(size, 0.05, PRODUCTION.most_dropout))
    assert opened_at_a_border(*graph.parameters(size, 0.05, 0.1))

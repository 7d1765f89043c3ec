import pytest

from covey_models import QUERIES
from covey_privacy.dp import SkellamMechanism, epsilon
from covey_privacy.manifest import model_digest
from covey_privacy.profile import PRODUCTION, TEST
from covey_privacy.tickets import IssuerKeys
from covey_server.errors import ConfigError
from covey_server.plan import Admission, Policy, Size, fitted, manifest_for
from covey_server.round_terms import CommitteePolicy, Durations, Population

KEYS = IssuerKeys(("analytics", "personalize"), 17_504, (bytes(300),), (b"v" * 300,))
ORGANISATIONS = tuple(bytes([number]) * 32 for number in range(1, 5))
DURATIONS = Durations(60, 3600, 60, 60)


def planned(query="q1", spend=1.4, people=1000, profile=PRODUCTION, turnout=0.95, documents=()):
    asked = QUERIES[query]
    committees = CommitteePolicy(ORGANISATIONS, drawn=False, gamma=0.05, lost=0.0, turnout=turnout)
    policy = Policy(profile, 1e-6, committees, DURATIONS)
    (step,) = fitted([Size(query, asked.length, asked.norm)], spend, people, policy.delta).steps
    admission, windows = Admission(KEYS, 1, Population(people, people)), DURATIONS.from_(0)
    return manifest_for(asked, step, spend, f"{query}-1", admission, documents, policy, windows, bytes(32))


@pytest.mark.parametrize(("query", "spend"), [("q20", 0.6), ("q1", 1.4), ("q1", 0.1)])
@pytest.mark.parametrize("people", [250, 2469, 60_000])
def test_the_noise_costs_no_more_than_the_manifest_says(query, spend, people):
    manifest = planned(query, spend, people)
    encoding = manifest.encoding(QUERIES[query].length, bytes(32))
    assert epsilon([SkellamMechanism.of(encoding, manifest.sigma)], manifest.delta) <= spend
    assert encoding.padded == manifest.length


def test_the_noise_is_sized_for_those_who_remain_beyond_the_corrupt():
    """950 of 1,000 come; 5 % of 1,050 may be corrupt: 950 - 52 - 1 carry all the noise, beside oneself."""
    manifest = planned()
    assert manifest.honest == manifest.terms.honest == 950 - 52 - 1
    assert manifest.terms.least_set == 950


def test_terms_and_the_other_fields_agree():
    manifest = planned()
    assert manifest.require_terms() is manifest.terms
    assert manifest.noise(950) == pytest.approx(manifest.sigma * (950 / 897) ** 0.5)


def test_a_sum_of_everyone_fits_into_the_field():
    manifest = planned("q20", 0.6, 60_000)
    worst = manifest.terms.most * manifest.norm * manifest.scale + 10 * manifest.sigma * manifest.scale
    assert worst < 2 ** (manifest.bits - 1)


def test_floors_come_from_the_profile():
    assert planned().least_issued == 200
    assert planned(people=30, profile=TEST, turnout=1.0).least_issued == 20


def test_too_few_people_are_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"199 phones hold tickets, .* a round for analytics needs 200"):
        planned(people=199)


def test_an_epsilon_too_small_for_the_field_is_refused():
    with pytest.raises(ConfigError):
        planned(spend=1e-9)


def test_the_model_hash_changes_with_the_query_and_with_what_it_builds_on():
    documents = ((), (b"",), (b"a",), (b"b",), (b"a", b"b"), (b"ab",))
    digests = {model_digest(QUERIES[q].digest(), *some) for q in QUERIES for some in documents}
    assert len(digests) == 12

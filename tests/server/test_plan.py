import pytest

from covey_models import QUERIES
from covey_privacy.dp import SkellamMechanism, epsilon
from covey_privacy.manifest import model_digest
from covey_privacy.profile import PRODUCTION, TEST
from covey_privacy.tickets import IssuerKeys
from covey_server.errors import ConfigError
from covey_server.plan import BITS, Policy, Size, fitted, manifest_for

KEYS = IssuerKeys(("analytics", "personalize"), 17_504, (bytes(300),), (b"v" * 300,))
TERMS = Policy(PRODUCTION, 1e-6, 0.05, 0.05, 0.95)


def planned(query="q1", spend=1.4, population=1000, terms=TERMS, documents=()):
    asked = QUERIES[query]
    size = Size(query, asked.length, asked.norm)
    (step,) = fitted([size], spend, population, terms.delta, BITS).steps
    return manifest_for(asked, step, spend, f"{query}-1", population, KEYS, 1, documents, terms)


@pytest.mark.parametrize(("query", "spend"), [("q20", 0.6), ("q1", 1.4), ("q1", 0.1)])
@pytest.mark.parametrize("population", [250, 2469, 60_000])
def test_the_noise_costs_no_more_than_the_manifest_says(query, spend, population):
    manifest = planned(query, spend, population)
    encoding = manifest.encoding(QUERIES[query].length, bytes(32))
    assert epsilon([SkellamMechanism.of(encoding, manifest.sigma)], manifest.delta) <= spend
    assert encoding.padded == manifest.length


def test_the_noise_is_sized_for_those_who_remain_beyond_the_corrupt():
    """950 come, 47 of them corrupt, 47 lost, oneself: 902 - 47 - 1 carry all the noise."""
    manifest = planned()
    assert manifest.honest == 902 - 47 - 1
    assert manifest.least_survivors(950) == 902


def test_a_sum_of_everyone_fits_into_the_ring():
    manifest = planned("q20", 0.6, 60_000)
    worst = manifest.most_cohort * manifest.norm * manifest.scale + 10 * manifest.sigma * manifest.scale
    assert worst < 2 ** (manifest.bits - 1)


def test_floors_come_from_the_profile():
    assert planned().least_cohort == 200
    assert planned(population=30, terms=Policy(TEST, 1e-6, 0.05, 0.05, 1.0)).least_cohort == 20


def test_too_few_people_are_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"199 devices allow analytics \+ personalize; .* at least 200"):
        planned(population=199)


def test_an_epsilon_too_small_for_the_ring_is_refused():
    with pytest.raises(ConfigError):
        planned(spend=1e-9)


def test_the_model_hash_changes_with_the_query_and_with_what_it_builds_on():
    documents = ((), (b"",), (b"a",), (b"b",), (b"a", b"b"), (b"ab",))
    digests = {model_digest(QUERIES[q].digest(), *some) for q in QUERIES for some in documents}
    assert len(digests) == 12

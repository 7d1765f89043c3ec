import pytest

from covey_models import QUERIES
from covey_privacy.dp import SkellamMechanism, account, epsilon
from covey_privacy.floors import PRODUCTION, TEST
from covey_privacy.manifest import model_digest
from covey_privacy.secagg import pads
from covey_privacy.tickets import IssuerKeys
from covey_server.errors import ConfigError
from covey_server.plan import BITS, Admission, RoundPolicy, Size, fit_plan, manifest_for
from covey_server.round_terms import CommitteePolicy, Durations, Population, counted

KEYS = IssuerKeys(("analytics", "personalize"), 17_504, (bytes(300),), (b"v" * 300,))
ORGANISATIONS = tuple(bytes([number]) * 32 for number in range(1, 5))
COMMITTEES = CommitteePolicy(ORGANISATIONS, drawn=False, gamma=0.05, lost=0.05, turnout=0.95)
DURATIONS = Durations(60, 60, 60, 60)
POLICY = RoundPolicy(PRODUCTION, 1e-6, COMMITTEES, DURATIONS)


def planned(query="q1", spend=1.4, people=1000, policy=POLICY, documents=()):
    asked = QUERIES[query]
    size = Size(query, asked.length, asked.norm)
    (step,) = fit_plan([size], spend, people, policy.delta).steps
    admission = Admission(KEYS, 1, Population(people, people))
    windows = policy.durations.windows_from(1_800_000_000)
    return manifest_for(asked, step, spend, f"{query}-1", admission, documents, policy, windows, bytes(32))


@pytest.mark.parametrize(("query", "spend"), [("q20", 0.6), ("q1", 1.4), ("q1", 0.1)])
@pytest.mark.parametrize("people", [250, 2469, 10_000])
def test_the_noise_costs_no_more_than_the_manifest_says(query, spend, people):
    manifest = planned(query, spend, people)
    encoding = manifest.encoding(QUERIES[query].length, bytes(32))
    assert epsilon([SkellamMechanism.for_encoding(encoding, manifest.sigma)], manifest.delta) <= spend
    assert encoding.padded == manifest.length


def test_the_noise_is_sized_for_those_who_remain_beyond_the_corrupt():
    """950 come, 52 of the 1050 with tickets may be corrupt, oneself: 950 - 52 - 1 carry all the noise."""
    manifest = planned()
    assert manifest.honest == 950 - 52 - 1
    assert manifest.require_terms().least_set == 950


def test_a_sum_of_everyone_fits_into_the_field():
    manifest = planned("q20", 0.6, 10_000)
    worst = counted(10_000) * manifest.norm * manifest.scale + 10 * manifest.sigma * manifest.scale
    assert worst < 2 ** (manifest.bits - 1)


@pytest.mark.parametrize(
    ("people", "spend", "drops"), [(500, 2.0, True), (2469, 4.0, False), (10_000, 2.0, False)]
)
def test_a_long_vector_is_scaled_so_that_its_errors_are_borne_and_bits_dropped_where_there_is_room(
    people, spend, drops
):
    (step,) = fit_plan([Size("p1-base", 4458, 1.0)], spend, people, 1e-6).steps
    assert step.bits == BITS
    drop = pads.choose_drop(step.length, people, step.sigma * step.scale)
    assert (drop >= pads.LEAST_DROP) == drops
    worst = counted(people) * step.norm * step.scale + 10 * step.sigma * step.scale
    assert worst < 2 ** (step.bits - 1)
    figures = account([step.mechanism], 1e-6).figures()
    assert figures["gaussian"] <= figures["rdp"]


def test_floors_come_from_the_profile():
    assert planned().least_issued == 200
    committees = CommitteePolicy(ORGANISATIONS, drawn=False, gamma=0.05, lost=0.0, turnout=1.0)
    assert planned(people=30, policy=RoundPolicy(TEST, 1e-6, committees, DURATIONS)).least_issued == 20


def test_too_few_people_are_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"199 phones hold tickets.* a round for analytics needs 200"):
        planned(people=199)


def test_an_epsilon_too_small_for_the_field_is_refused():
    with pytest.raises(ConfigError):
        planned(spend=1e-9)


def test_the_model_hash_changes_with_the_query_and_with_what_it_builds_on():
    documents = ((), (b"",), (b"a",), (b"b",), (b"a", b"b"), (b"ab",))
    digests = {model_digest(QUERIES[q].digest(), *some) for q in QUERIES for some in documents}
    assert len(digests) == 12


def test_noise_that_so_few_phones_cannot_draw_is_refused():
    committees = CommitteePolicy(ORGANISATIONS, drawn=False, gamma=0.05, lost=0.0, turnout=1.0)
    policy = RoundPolicy(TEST, 1e-6, committees, DURATIONS)
    assert planned(people=20, policy=policy).honest == 18
    with pytest.raises(ConfigError, match="needs more noise than 18 phones can draw: spend more epsilon"):
        planned(spend=0.05, people=20, policy=policy)

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_consent.errors import RequestError
from covey_consent.notices.publisher import Edition, find_material_changes, number_edition
from covey_privacy.registry_messages import Notice, NoticeText
from covey_privacy.semver import Semver

caps = st.sampled_from([0.0, 1.0, 2.0])
semvers = st.builds(Semver, st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
texts = st.sampled_from(["a", "b"]).map(lambda text: (NoticeText("en", "title", text),))
notices = st.builds(
    lambda version, basis, epsilon, total, delta, words: Notice(
        "train", *version, basis, epsilon, total, delta, words
    ),
    semvers,
    st.sampled_from(["consent", "contract"]),
    caps,
    caps,
    st.sampled_from([1e-6, 1e-5]),
    texts,
)
editions = st.builds(Edition, notices, st.sampled_from(["views", "views and orders"]))


def published(drafts):
    """Publish one after the other, as the registry does, and return what stands at each step."""
    editions = []
    for draft in drafts:
        before = editions[-1] if editions else None
        if before is not None and before.says_the_same(draft):
            continue
        try:
            editions.append(number_edition(draft, before))
        except RequestError:
            continue
    return editions


@given(st.lists(editions, max_size=12))
def test_versions_only_grow(drafts):
    numbers = [edition.notice.number for edition in published(drafts)]
    assert numbers == sorted(set(numbers))


@pytest.mark.compliance("GDPR 6", "another legal basis is another major, which everyone is asked about anew")
@pytest.mark.compliance("PIPL 14", "another basis, purpose, kind of data or a raised cap asks everyone anew")
@given(st.lists(editions, max_size=12))
def test_within_one_major_nobody_is_bound_to_more_than_they_agreed_to(drafts):
    first = {}
    for edition in published(drafts):
        agreed = first.setdefault(edition.notice.version, edition)
        assert edition.notice.basis == agreed.notice.basis
        assert edition.terms == agreed.terms
        assert edition.notice.epsilon <= agreed.notice.epsilon
        assert edition.notice.epsilon_total <= agreed.notice.epsilon_total
        assert edition.notice.delta <= agreed.notice.delta


@given(editions, editions)
def test_a_change_that_nobody_numbered_is_a_new_major(before, draft):
    draft = draft.numbered(before.notice.number)
    if not before.says_the_same(draft):
        assert number_edition(draft, before).notice.number == before.notice.number.next_major


@given(editions)
def test_what_says_the_same_under_another_number_is_the_same(edition):
    other = edition.numbered(Semver(9, 9, 9))
    assert edition.says_the_same(other)
    assert find_material_changes(other, edition) == ()


@given(editions)
def test_the_first_bears_the_number_that_its_author_declares(draft):
    assert number_edition(draft, None) == draft


BASE = Edition(Notice("train", 1, 2, 0, "consent", 1.0, 4.0, 1e-6, (NoticeText("en", "t", "a"),)), "views")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"basis": "contract"}, "the legal basis"),
        ({"epsilon": 1.5}, "its cap, raised"),
        ({"epsilon_total": 5.0}, "the cap of all purposes, raised"),
        ({"delta": 1e-5}, "delta, raised"),
    ],
)
def test_a_minor_that_changes_the_bargain_is_refused_and_told_which_number_to_take(change, named):
    minor = dataclasses.replace(BASE.notice, minor=3, **change)
    with pytest.raises(RequestError, match=rf"{named}.*declare 2\.0\.0"):
        number_edition(Edition(minor, BASE.terms), BASE)
    major = dataclasses.replace(BASE.notice, version=2, minor=0, **change)
    assert number_edition(Edition(major, BASE.terms), BASE).notice.number == (2, 0, 0)


def test_other_data_under_a_minor_are_refused():
    with pytest.raises(RequestError, match="data, retention or what it is used for"):
        number_edition(Edition(dataclasses.replace(BASE.notice, minor=3), "orders"), BASE)


def test_a_lowered_cap_and_other_words_may_be_a_patch():
    words = (NoticeText("en", "t", "b"),)
    patch = dataclasses.replace(BASE.notice, patch=1, epsilon=0.5, texts=words)
    assert number_edition(Edition(patch, BASE.terms), BASE).notice.number == (1, 2, 1)

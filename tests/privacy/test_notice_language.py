import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.registry_messages import Notice, NoticeText
from covey_privacy.semver import Semver


def notice(*languages: str) -> Notice:
    texts = tuple(NoticeText(language, language, "text") for language in languages)
    return Notice("train", 2, 1, 0, "consent", 1.0, 1.0, 1e-6, texts)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("zh", "zh"),
        ("zh-CN", "zh"),
        ("ZH-hant-tw", "zh"),
        ("en-DE", "en-DE"),
        ("EN-de", "en-DE"),
        ("en-DE-x-shop", "en-DE"),
        ("en-GB", "en"),
        ("fr", "en"),
        ("", "en"),
        ("z", "en"),
    ],
)
def test_a_text_is_looked_up_by_ever_wider_tags(asked, found):
    assert notice("en", "zh", "en-DE").text(asked).language == found


def test_a_region_is_not_shown_to_its_whole_language():
    assert notice("fr", "en-DE").text("en").language == "fr"


versions = st.builds(Semver, st.integers(1, 10**9 - 1), *[st.integers(0, 10**9 - 1)] * 2)


@given(versions, versions)
def test_versions_are_written_and_ordered_by_their_numbers(one, other):
    assert Semver.parse(str(one)) == one
    assert (one < other) == (tuple(one) < tuple(other))
    assert one.next_major > one


@pytest.mark.parametrize(
    "wrong", ["1", "1.0", "1.0.0.0", "0.1.0", "01.0.0", "1.0.0-rc", "v1.0.0", "1.0.0\n", "١.0.0"]
)
def test_what_is_no_version_is_refused(wrong):
    with pytest.raises(ValueError, match="written as"):
        Semver.parse(wrong)


def test_a_notice_says_its_number():
    assert (notice("en").semver, notice("en").number) == ("2.1.0", Semver(2, 1, 0))

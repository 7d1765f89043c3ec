import pytest

from covey_consent.errors import RequestError, UnknownError
from covey_consent.notices import files

PLAIN = """
purpose = "celebrate"
version = "1.2.0"
[texts.en]
title = "Greet you"
text = "Off until you switch it on."
[texts.en.items]
method = "How: on this phone."
"""


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('version = "1.2.0"', "", "version"),
        ("1.2.0", "1.2", "version"),
        ("1.2.0", "0.9.0", "version"),
        ("celebrate", "Celebrate!", "purpose"),
        ('title = "Greet you"', 'title = " "', "texts.en.title"),
        ('text = "Off until you switch it on."', "", "texts.en.text"),
        ('"Off until', '"' + "x" * 8000, "texts.en.text"),
        ("[texts.en]", "[texts.English_]", "texts"),
        ("method =", "methods =", "there is no item 'methods'"),
        ('"How: on this phone."', '"How:\\nWho: somebody else"', "method"),
        ("[texts.en.items]", 'html = "x"\n[texts.en.items]', "html"),
        ('purpose = "celebrate"', 'purpose = ["celebrate", "train"]', "purpose"),
        ('version = "1.2.0"', "version =", "no TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_name(old, new, named):
    assert old in PLAIN
    with pytest.raises(RequestError, match=named) as refused:
        files.parse(PLAIN.replace(old, new))
    assert "\n" not in str(refused.value)


def test_a_file_is_completed_with_standing_words_and_keeps_its_own():
    file = files.parse(PLAIN).completed
    assert file.texts["en"].items["method"] == "How: on this phone."
    assert file.texts["en"].items["complaint"].startswith("Complaints: $authority")
    assert "necessity" not in file.texts["en"].items
    assert file.completed == file
    assert file.source == files.parse(PLAIN).completed.source


def test_a_purpose_that_nobody_knows_or_offers_has_no_notice():
    with pytest.raises(UnknownError):
        _ = files.parse(PLAIN.replace("celebrate", "resale")).completed
    with pytest.raises(RequestError, match="refused as a policy"):
        _ = files.parse(PLAIN.replace("celebrate", "biometric")).completed


def test_a_folder_adds_to_the_packaged_notices_and_replaces_them(tmp_path):
    (tmp_path / "celebrate.toml").write_text(PLAIN, "utf-8")
    (tmp_path / "train.toml").write_text(PLAIN.replace("celebrate", "train"), "utf-8")
    (tmp_path / "README.md").write_text("not a notice", "utf-8")
    found = files.load_files(tmp_path)
    assert set(found) == {*files.packaged(), "celebrate"}
    assert found["train"].version == "1.2.0"
    assert found["core"] == files.packaged()["core"]


def test_a_folder_or_file_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(RequestError, match="no folder"):
        files.load_files(tmp_path / "missing")
    (tmp_path / "train.toml").write_text(PLAIN, "utf-8")
    with pytest.raises(RequestError, match=r"name it celebrate\.toml"):
        files.load_files(tmp_path)
    (tmp_path / "train.toml").write_bytes(b"\xff")
    with pytest.raises(RequestError, match=r"train\.toml cannot be used"):
        files.load_files(tmp_path)

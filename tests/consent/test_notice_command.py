import re
from pathlib import Path

import httpx
import pytest

from covey_consent.access.roles import Role
from covey_consent.commands import notice
from covey_consent.commands.client import TOKEN
from covey_consent.notices import files

TEXTS = files._PACKAGED / "texts"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "celebrate.toml"
    plain = (TEXTS / "replenish.toml").read_text("utf-8")
    path.write_text(plain.replace('purpose = "replenish"', 'purpose = "celebrate"'), "utf-8")
    return path


@pytest.fixture
def served(shop, monkeypatch):
    """Let the command reach the running registry."""
    monkeypatch.setattr(httpx, "post", lambda url, timeout, **sent: shop.http.post(url, **sent))
    monkeypatch.setenv(TOKEN, shop.as_(Role.ADMIN)["authorization"].removeprefix("Bearer "))
    return shop


def test_packaged_notices_are_complete(capsys):
    assert notice.lint(str(TEXTS)) == 0
    assert notice.lint("health") == 0
    assert "health 1.0.0: complete" in capsys.readouterr().out


def test_what_is_missing_is_listed(own, capsys):
    words = own.read_text("utf-8")
    own.write_text(
        "".join(line for line in words.splitlines(True) if not line.startswith("automated")), "utf-8"
    )
    assert notice.lint(str(own.parent)) == 1
    assert "en: automated (GDPR 13(2)(f), PIPL 24) is missing" in capsys.readouterr().out


def test_the_facts_are_those_that_the_settings_name(tmp_path, monkeypatch, capsys):
    plain = (TEXTS.parent.parent / "policy" / "controller.toml").read_text("utf-8")
    (tmp_path / "controller.toml").write_text(
        plain.replace('contact = "privacy@partner.example"\n', ""), "utf-8"
    )
    monkeypatch.setenv("COVEY_REGISTRY_CONTROLLER", str(tmp_path / "controller.toml"))
    assert notice.lint("partner") == 1
    assert "lacks the contact of Covey Example Partner" in capsys.readouterr().out


@pytest.mark.parametrize("purpose", [*files.packaged()])
def test_a_packaged_notice_is_shown_as_it_is(purpose, capsys):
    assert notice.show(purpose, None) == 0
    assert files.parse(capsys.readouterr().out) == files.packaged()[purpose]


def test_one_to_fill_in_is_refused_until_every_line_of_it_is_written(tmp_path, capsys):
    path = tmp_path / "celebrate.toml"
    assert notice.show("celebrate", path) == 0
    assert notice.lint(str(path)) == 1
    said = capsys.readouterr().out
    for missing in ("en: text", "en: method", "en: automated", "zh: text", "zh: method", "zh: automated"):
        assert missing in said
    path.write_text(path.read_text("utf-8").replace("$write", "So:"), "utf-8")
    assert notice.lint(str(path)) == 0


def test_no_notice_is_overwritten_or_made_up(tmp_path, capsys):
    path = tmp_path / "train.toml"
    path.write_text("mine", "utf-8")
    assert notice.show("train", path) == 2
    assert path.read_text("utf-8") == "mine"
    assert "exists" in capsys.readouterr().out
    assert [notice.show(purpose, None) for purpose in ("biometric", "resale")] == [2, 2]
    assert "refused as a policy" in capsys.readouterr().out


def test_standing_words_in_a_folder_are_said_to_be_no_notice(own, capsys):
    own.with_name("standing.toml").write_text((TEXTS.parent / "standing.toml").read_text("utf-8"), "utf-8")
    assert notice.lint(str(own.parent)) == 2
    assert "standing words are Covey's own" in capsys.readouterr().out


def publish_as_another(served, monkeypatch, path) -> int:
    token = served.as_(Role.ADMIN, "another")["authorization"].removeprefix("Bearer ")
    monkeypatch.setenv(TOKEN, token)
    return notice.publish(str(path), "")


def test_the_pages_sample_is_complete_and_published(served, tmp_path, monkeypatch):
    page = (Path(__file__).resolve().parents[2] / "docs" / "registry.md").read_text("utf-8")
    (sample,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    path = tmp_path / "celebrate.toml"
    path.write_text(sample, "utf-8")
    assert notice.lint(str(tmp_path)) == 0
    assert notice.publish(str(path), "") == 0
    assert publish_as_another(served, monkeypatch, path) == 0
    assert [text.language for text in served.notices()["celebrate"].texts] == ["en", "zh"]


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_a_path_without_notices_is_no_success(tmp_path, monkeypatch, path, capsys):
    monkeypatch.chdir(tmp_path)
    assert notice.lint(path) == 2
    assert capsys.readouterr().out


def test_a_file_is_published(served, own, monkeypatch, capsys):
    assert notice.publish(str(own), "") == 0
    assert "celebrate waits: another person" in capsys.readouterr().out
    assert "celebrate" not in served.notices()
    assert publish_as_another(served, monkeypatch, own) == 0
    assert "celebrate 1.0.0 is in force" in capsys.readouterr().out
    assert served.notices()["celebrate"].semver == "1.0.0"


def test_a_refusal_says_why(served, capsys):
    assert notice.publish("health", "") == 1
    assert "(409): purpose 'health' is of high risk" in capsys.readouterr().out


def test_publishing_needs_a_token_a_file_and_a_registry(own, monkeypatch, capsys):
    monkeypatch.delenv(TOKEN, raising=False)
    assert notice.publish(str(own), "http://127.0.0.1:1") == 2
    monkeypatch.setenv(TOKEN, "x")
    assert notice.publish(str(own), "http://127.0.0.1:1") == 1
    assert notice.publish(str(own.parent), "http://127.0.0.1:1") == 2
    assert "no registry answers" in capsys.readouterr().out

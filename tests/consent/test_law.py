"""The table of law holds against the tests: no article without one, no test without its article."""

import json
import shutil
from pathlib import Path

import covey
import pytest

from covey_consent.commands import evidence
from covey_consent.errors import ConflictError
from covey_consent.law import compliance
from covey_consent.law.compliance import Mark

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def found():
    return compliance.read_marks(TESTS)


@pytest.fixture
def checkout(tmp_path):
    """A checkout of one test file, with the hook by which reports name articles."""

    def checkout(*lines):
        folder = tmp_path / "tests"
        folder.mkdir()
        shutil.copy(TESTS / "conftest.py", folder)
        (folder / "test_one.py").write_text("\n".join(("import pytest", *lines, "")), "utf-8")
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = compliance: x\n", "utf-8")
        return tmp_path

    return checkout


def test_every_article_has_a_test_and_every_test_an_article(found):
    """What `awaiting` lists has none yet."""
    law, shown = compliance.load_law(), {mark.article for mark in found}
    assert shown <= set(law.shows)
    assert set(law.shows) - shown == law.awaiting


def test_what_is_shipped_names_the_tests_as_they_are(found):
    """Mend it with: python -m covey_consent.law.compliance tests --write"""
    assert compliance.shipped_marks() == found


def test_every_article_is_of_a_law_that_is_named():
    law = compliance.load_law()
    assert {article.partition(" ")[0] for article in law.shows} == set(law.laws)


def test_no_article_is_said_to_be_fulfilled():
    assert not any(
        word in text.lower()
        for text in compliance.load_law().shows.values()
        for word in ("complian", "compli")
    )


@pytest.mark.parametrize("mark", ['("GDPR 7(3)")', "(ARTICLE, WORDS)", '("GDPR 7(3)", 3)', "()"])
def test_a_mark_says_article_and_what_is_shown(checkout, mark):
    root = checkout(f"@pytest.mark.compliance{mark}", "def test_x(): pass")
    with pytest.raises(ValueError, match=r"tests/test_one\.py::test_x: a mark says"):
        compliance.read_marks(root / "tests")


def test_marks_are_found_in_classes_and_on_coroutines(checkout):
    said = '@pytest.mark.compliance("GDPR 30", "x")'
    root = checkout(
        "class TestA:", f"    {said}", "    def test_b(self): pass", said, "async def test_c(): pass"
    )
    assert [mark.test for mark in compliance.read_marks(root / "tests")] == [
        "tests/test_one.py::TestA::test_b",
        "tests/test_one.py::test_c",
    ]


@pytest.mark.slow
def test_a_run_finds_what_passes_fails_and_is_skipped(checkout, monkeypatch, capsys):
    root = checkout(
        '@pytest.mark.compliance("GDPR 30", "a")',
        "def test_good(): pass",
        '@pytest.mark.compliance("GDPR 32", "b")',
        '@pytest.mark.parametrize("x", [1, 0, 1])',
        "def test_bad(x): assert x",
        '@pytest.mark.compliance("GDPR 35", "c")',
        "def test_skipped(): pytest.skip('why')",
        "def test_unmarked(): assert False",
    )
    monkeypatch.setattr(compliance, "find_checkout", lambda: root)
    assert covey.main(["registry", "evidence", "--run", "--json"]) == 1
    table = json.loads(capsys.readouterr().out)
    assert table["run"]["covey"]
    assert {test["test"]: test["result"] for row in table["articles"] for test in row["tests"]} == {
        "tests/test_one.py::test_good": "passed",
        "tests/test_one.py::test_bad": "failed",
        "tests/test_one.py::test_skipped": "skipped",
    }


def test_a_test_that_a_run_did_not_reach_is_missing():
    done = compliance.Run("2026-01-01T00:00:00Z", "0", {"a": "passed"})
    table = evidence.tabulate([Mark("GDPR 30", "x", "a"), Mark("GDPR 30", "y", "b")], done)
    (row,) = [row for row in table["articles"] if row["article"] == "GDPR 30"]
    assert [test["result"] for test in row["tests"]] == ["passed", "missing"]


def test_a_test_of_an_article_that_the_table_lacks_stops_the_run(checkout):
    root = checkout('@pytest.mark.compliance("GDPR 99", "x")', "def test_x(): pass")
    with pytest.raises(ConflictError, match=r"law\.toml has no article 'GDPR 99'"):
        compliance.run_tests(root, compliance.read_marks(root / "tests"))


def test_the_command_prints_tests_and_claims_no_result_without_a_run(capsys):
    assert covey.main(["registry", "evidence", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["run"] is None
    assert {test["result"] for row in table["articles"] for test in row["tests"]} == {"not run"}
    (row,) = [row for row in table["articles"] if row["article"] == "GDPR 30"]
    assert row["tests"][0]["test"].startswith("tests/consent/test_documents.py::")
    assert covey.main(["registry", "evidence"]) == 0
    assert "tests not run" in capsys.readouterr().out


def test_an_installed_covey_prints_the_shipped_names_and_runs_nothing(monkeypatch, capsys):
    monkeypatch.setattr(compliance, "find_checkout", lambda: None)
    assert covey.main(["registry", "evidence"]) == 0
    assert "tests/consent/test_documents.py::" in capsys.readouterr().out
    assert covey.main(["registry", "evidence", "--run"]) == 2
    assert "installed without its tests" in capsys.readouterr().err

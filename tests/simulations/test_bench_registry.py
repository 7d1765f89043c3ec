import json

import covey
import pytest


def ran(capsys, *arguments):
    status = covey.main(["bench", *arguments, "--json"])
    said = capsys.readouterr()
    return status, said


@pytest.mark.slow
def test_the_registry_is_measured_under_load_beside_an_empty_route(capsys):
    """Ratios are for people to judge: here it is what was measured that counts, and that nothing failed."""
    status, said = ran(capsys, "registry", "--rows", "2000", "--seconds", "1")
    assert status == 0, said.err
    found = json.loads(said.out)
    loads = ("lookups", "lookups_from_the_table", "lookups_at_half_load", "batches", "durable_writes")
    assert all(found[name]["per_second"] > 0 for name in (*loads, "empty_route"))
    assert found["lookups_at_half_load"]["per_second"] < found["lookups"]["per_second"]
    assert found["lookups_over_empty_route"] == pytest.approx(
        found["lookups"]["per_second"] / found["empty_route"]["per_second"]
    )
    assert found["log_appends_per_second"] > 0
    assert 0 < found["proof_seconds"] < 1


def test_without_wrk_one_line_says_how_to_get_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, said = ran(capsys, "registry", "--rows", "10", "--seconds", "1")
    assert status == 2
    assert "apt-get install wrk" in said.err.splitlines()[-1]


@pytest.mark.parametrize("rows", ["0", "-1"])
def test_what_cannot_be_is_said(capsys, rows):
    status, said = ran(capsys, "registry", "--rows", rows)
    assert status == 2
    assert "at least 1 person" in said.err


def test_tickets_are_measured_beside_openssl(capsys):
    status, said = ran(capsys, "tickets", "--tickets", "20")
    found = json.loads(said.out)
    assert status == 0
    assert found["sign_over_openssl"] == pytest.approx(
        found["signatures_per_second"] / found["openssl_signatures_per_second"]
    )

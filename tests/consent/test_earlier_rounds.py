"""A log that earlier versions began: rounds that ran in other ways stay in it, and are not interpreted."""

import cbor2
import pytest

from covey_consent.access.roles import Role
from covey_consent.commands.pack import make
from covey_consent.pack import verify
from covey_consent.settings import Settings
from covey_consent.storage.models import LoggedRound
from covey_privacy import wire
from covey_privacy.manifest import sign_manifest
from covey_privacy.registry_messages import LEAF_EVIDENCE, LEAF_MANIFEST, LEAF_ROSTER
from covey_privacy.secagg.notary_messages import RoundEntries
from covey_privacy.signatures import Signed, digest_of, to_sign

SQLITE_ALONE = True  # What these tests say does not rest on the database.

ORIGIN = "covey.test/log"
ROSTER = LEAF_ROSTER + cbor2.dumps(["old", bytes(32), 4, bytes(32)])


@pytest.fixture
def earlier(shop):
    """`earlier(ended)`: log what an earlier version did of a round; return its manifest."""

    def earlier(ended):
        terms = shop.manifest(shop.issuer("analytics"), round_id="old", terms=None, windows=None)
        manifest = sign_manifest(terms, shop.operator)
        body = cbor2.dumps(["old", "q1", ["analytics"], "test", digest_of(manifest), *range(19)])
        said = wire.encode(Signed(body, shop.operator.sign(to_sign("evidence", body))))
        registry = shop.http.app.state.registry

        def add(session):
            log = registry.log
            index = log.append(session, LEAF_MANIFEST, manifest)
            log.append(session, ROSTER[:1], ROSTER[1:])
            row = LoggedRound(
                round_id="old", manifest=manifest, digest=digest_of(manifest), manifest_index=index
            )
            if ended:
                row.evidence, row.evidence_index = said, log.append(session, LEAF_EVIDENCE, said)
            session.add(row)

        shop.http.portal.call(registry.log.write, add)
        return manifest

    return earlier


@pytest.mark.parametrize(("ended", "outcome"), [(True, "earlier version"), (False, "")])
def test_its_rounds_are_listed_and_shown(shop, earlier, ended, outcome):
    manifest = earlier(ended)
    (line,) = shop.http.get("/v1/rounds", headers=shop.as_(Role.AUDITOR)).json()["items"]
    assert (line["round_id"], line["outcome"], line["cohort"]) == ("old", outcome, None)
    shown = wire.decode(RoundEntries, shop.http.get("/v1/rounds/old").content)
    assert (shown.manifest, shown.entries) == (manifest, ())
    assert ROSTER in shop.entries()


def test_they_take_no_step_and_their_names_stay_taken(shop, earlier, problem):
    manifest = earlier(False)
    assert "earlier version" in problem(shop.post("/v1/rounds/old/volunteers", b"x"), 409)
    terms = shop.manifest(shop.issuer("analytics"), round_id="old")
    problem(shop.post("/v1/rounds", sign_manifest(terms, shop.operator)), 409)
    assert shop.post("/v1/rounds", manifest).status_code == 200


def test_a_round_that_was_not_over_can_no_more_be_ended(shop, earlier, problem):
    digest = digest_of(earlier(False))
    terms = shop.manifest(shop.issuer("analytics"), round_id="old", terms=None, windows=None)
    problem(shop.conclude(terms, digest, "aborted"), 422)


def test_their_dossier_is_that_versions_to_make_and_other_documents_go_on(shop, earlier, problem):
    earlier(True)
    headers = shop.as_(Role.OFFICER)
    said = problem(shop.http.get("/v1/documents/dossier", params={"round": "old"}, headers=headers), 409)
    assert "earlier version" in said
    for name, params in (("dpia", {"purpose": "analytics"}), ("toms", {}), ("ropa", {})):
        assert shop.http.get(f"/v1/documents/{name}", params=params, headers=headers).status_code == 200


def test_a_pack_with_them_is_checked_and_says_that_they_are_not_read(
    opened, shop, earlier, database_url, tmp_path
):
    earlier(True)
    terms = shop.manifest(shop.issuer("analytics"))
    shop.announce(terms)
    settings = Settings(
        database_url=database_url, key_file=tmp_path / "registry.key", origin=ORIGIN,
        operator=shop.operator.public.hex(),
    )  # fmt: skip
    lines = verify.check(make(settings, 0, None), None, None, ())
    assert "not read: 2 entries about rounds of earlier versions" in lines
    assert "rounds: 0 rounds ended, 1 are open; each was announced before it began and ended once" in lines

"""Documents: what an officer hands to an authority says what holds, and says so where it cannot know."""

import csv
import dataclasses
import hashlib
import io
import json
import math
import re
from pathlib import Path

import covey
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_players import sign_sets
from sqlalchemy import update

from covey_consent.access.roles import Role
from covey_consent.documents import collusion, pipl_audit, processing, ropa
from covey_consent.documents.catalogue import Name
from covey_consent.documents.document import Bilingual, Document, Section
from covey_consent.documents.dossier import dossier
from covey_consent.documents.facts import gather_facts
from covey_consent.documents.rendering import Format, render
from covey_consent.errors import ConflictError, DamageError
from covey_consent.law import compliance
from covey_consent.notices import files
from covey_consent.notices.drafts import NoticeFacts, draft
from covey_consent.policy.controller import Contact, Controller, StatedRecipient, load
from covey_consent.policy.purposes import load as purposes
from covey_consent.storage.models import StandingChoice
from covey_models.repurchase import HALF_LIFE
from covey_privacy.dp import account
from covey_privacy.manifest import Plan, Step
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.signatures import digest_of
from covey_sdk.translations import _PHRASES
from covey_simulations import costs

SQLITE_ALONE = True  # What these tests say does not rest on the database.

AMERICAN = StatedRecipient(name="A", role="controller", country="US", purposes=("core",))
ROOT = Path(__file__).resolve().parents[2]
HONEST = 341

SAID = {
    "popular": ("popular", "受欢迎"),
    "adopted": ("take it up", "从未买过"),
    "goes_with": ("goes with", "相配"),
    "goes_with_others": ("each thing you bought", "每件商品"),
    "average": ("average", "普通顾客"),
    "frequent": ("how many days", "多少天"),
    "recent": ("how long ago", "距今多久"),
    "group": ("of its group", "所在类别"),
    "unknown": ("cannot score", "无法评分"),
    "public_order": ("public order", "公开顺序"),
}

LETTERS = {
    "a": ("controller", "joint_controllers", "representative", "dpo"),
    "b": ("purpose",),
    "c": ("subjects", "data"),
    "d": ("recipients",),
    "e": ("transfers",),
    "f": ("retention",),
    "g": ("measures",),
}


@pytest.fixture
def ask(shop):
    """Ask for a document as an officer does."""

    def ask(name, status=200, role=Role.OFFICER, **params):
        answer = shop.http.get(f"/v1/documents/{name}", params=params, headers=shop.as_(role))
        assert answer.status_code == status, answer.text
        return answer

    return ask


@pytest.fixture
def facts(shop):
    registry = shop.http.app.state.registry
    with registry.store.session() as session:
        return gather_facts(session, registry.settings, registry.controller, registry.calendar.now)


@pytest.fixture
def concluded(shop):
    """A round of analytics that came to its end, with the noise of 400 people's Q20."""

    def concluded(**changes):
        issuer = shop.issuer("analytics")
        step = q20()
        noise = {"length": step.length, "norm": step.norm, "scale": step.scale, "sigma": step.sigma}
        terms = shop.manifest(
            issuer, **{"honest": HONEST, "epsilon": 0.6, "bits": step.bits, **noise, **changes}
        )
        digest = shop.announce(terms)
        sign_sets(shop, terms, digest, 401, 389)
        assert shop.conclude(terms, digest, "released").status_code == 200
        return terms

    return concluded


def q20() -> Step:
    (step,) = costs._query("q20", 0.6, 400)
    return step


def lines(document, heading=""):
    """The facts of every section whose heading begins so, by key."""
    sections = [each for each in document["sections"] if each["heading"].startswith(heading)]
    return {key: value for section in sections for key, value in section.get("facts", {}).items()}


class TestRecordOfProcessing:
    @pytest.mark.compliance("GDPR 30", "every purpose's record has all of (a) to (g), from live facts")
    def test_every_purpose_has_all_items_of_article_30(self, ask, shop):
        common, *rest = (each["facts"] for each in ask("ropa").json()["sections"])
        records = [common | record for record in rest]
        by_purpose = {record["purpose_id"]: record for record in records if "purpose_id" in record}
        assert set(by_purpose) == {*shop.notices(), "consent_record"}
        for record in by_purpose.values():
            assert all(record[key] for keys in LETTERS.values() for key in keys), record
        assert "dpo@shop.example" in by_purpose["train"]["dpo"]
        assert by_purpose["core"]["recipients"] == ["Covey Example Parcel (processor, DE)"]

    @pytest.mark.compliance("GDPR 28", "a processor has its record: for whom, what, where to, how protected")
    @pytest.mark.compliance("PIPL 21", "who is entrusted with what stands in the record")
    def test_a_processor_has_its_own_record(self, ask):
        (record,) = [
            each for each in ask("ropa").json()["sections"] if each["heading"].startswith("Processor")
        ]
        said = record["facts"]
        assert said["processor"] == "Covey Example Parcel, DE, privacy@parcel.example"
        assert said["on_behalf_of"] == [
            "Covey Example Shop, privacy@shop.example",
            "data protection officer: Data protection officer, dpo@shop.example",
        ]
        assert said["categories"] == ["core"]
        assert said["processor_transfers"] == "none"
        assert "28(3)" in said["processor_measures"]

    @pytest.mark.compliance("GDPR 26", "joint controllers are named in the record and in every notice")
    @pytest.mark.compliance(
        "PIPL 20", "those who decide together are named in the record and in every notice"
    )
    def test_joint_controllers_are_named_in_the_record_and_the_notices(self, facts):
        sister = Contact(name="Sister Shop", email="privacy@sister.example")
        lab = StatedRecipient(
            name="Joint Lab", contact="dpo@lab.example", role="joint controller", country="DE",
            purposes=("train",),
        )  # fmt: skip
        us = facts.controller.model_copy(update={"joint": (sister,), "recipients": (lab,)})
        common, *_ = ropa.ropa(dataclasses.replace(facts, controller=us)).plain()["sections"]
        assert common["facts"]["joint_controllers"] == [
            "Sister Shop, privacy@sister.example",
            "Joint Lab, dpo@lab.example",
        ]
        for file in files.packaged().values():
            for text in draft(file.completed, NoticeFacts(us, facts.settings.caps)).texts:
                assert "Sister Shop, privacy@sister.example" in text.text
                named = "Joint Lab, DE, dpo@lab.example" in text.text
                assert named == (file.purpose in ("train", "cross_border"))

    @pytest.mark.compliance("PIPL 52", "the record and every notice name who is in charge, with an address")
    def test_who_is_in_charge_is_named_with_an_address(self, ask, shop):
        common, *_ = ask("ropa").json()["sections"]
        assert common["facts"]["dpo"] == "Data protection officer, dpo@shop.example"
        for notice in shop.notices().values():
            assert all("dpo@shop.example" in text.text for text in notice.texts)

    @pytest.mark.compliance("PIPL 13", "the record and every notice state the legal basis of each purpose")
    def test_every_purpose_has_its_basis_in_the_record_and_its_notice(self, ask, shop):
        records = {
            said["purpose_id"]: said
            for each in ask("ropa").json()["sections"]
            if "purpose_id" in (said := each["facts"])
        }
        for name, record in records.items():
            assert re.search(r"PIPL Art\. 13\([1-7]\)", record["basis"]), name
        for name, notice in shop.notices().items():
            article = purposes()[name].pipl[:5]
            assert all(article in text.text for text in notice.texts), name

    @pytest.mark.compliance("GDPR 30", "recipients that the registry tells of changes are in the record too")
    def test_a_recipient_that_the_registry_tells_is_in_the_record(self, shop, ask):
        for name, of in (("Covey Example Parcel", ["core"]), ("Lake", ["train", "core"])):
            said = {"name": name, "url": "https://example.com/hook", "purposes": of}
            answer = shop.http.post("/v1/recipients", json=said, headers=shop.as_(Role.ADMIN))
            assert answer.status_code == 201, answer.text
        paused = shop.http.get("/v1/recipients", headers=shop.as_(Role.ADMIN)).json()["items"][1]["id"]
        records = {
            said.get("purpose_id"): said for each in ask("ropa").json()["sections"] if (said := each["facts"])
        }
        unknown = "Lake (role and country are not in the controller's facts)"
        assert records["core"]["recipients"] == ["Covey Example Parcel (processor, DE)", unknown]
        assert records["train"]["recipients"] == [unknown]
        assert records["train"]["recipients_differ"] == (
            "the registry tells Lake of changes, and the controller's facts do not name it for this purpose"
        )
        assert any(each.startswith("Lake: ") for each in records["train"]["transfers"])
        assert records["analytics"]["recipients"] == "none"
        assert records["analytics"]["recipients_differ"] == "nowhere"
        admin = shop.as_(Role.ADMIN) | {"if-match": "*"}
        shop.http.patch(f"/v1/recipients/{paused}", json={"active": False}, headers=admin)
        assert "Lake (role and country" in ask("ropa", format="csv").text

    def test_a_recipient_that_the_registry_tells_nothing_is_named_as_such(self, ask):
        core = next(
            each["facts"]
            for each in ask("ropa").json()["sections"]
            if each["facts"].get("purpose_id") == "core"
        )
        assert core["recipients_differ"] == (
            "the controller's facts name Covey Example Parcel, and the registry tells it of no change"
        )

    @pytest.mark.parametrize(
        ("changes", "names"),
        [
            ({"dpo": None}, "dpo"),
            ({"storage_countries": ()}, "storage_countries"),
            ({"storage_countries": ("US",)}, "who stores in US"),
            ({"recipients": (AMERICAN,)},
             "recipients[0].safeguard"),
            ({"recipients": (StatedRecipient(name="A", role="processor", country="DE", purposes=("core",)),)},
             "recipients[0].email"),
        ],
    )  # fmt: skip
    def test_what_is_missing_is_named_and_not_left_blank(self, changes, names):
        whole = load(None)
        assert ropa.find_missing(whole) == ()
        (gap,) = ropa.find_missing(whole.model_copy(update=changes))
        assert names in gap

    def test_missing_facts_stop_the_route(self, opened, tmp_path, problem):
        text = load(None).model_dump_json(exclude={"dpo"}, exclude_none=True)
        path = tmp_path / "controller.toml"
        path.write_text(toml(json.loads(text)), "utf-8")
        with opened(controller=path) as shop:
            answer = shop.http.get("/v1/documents/ropa", headers=shop.as_(Role.OFFICER))
            assert "dpo: Art. 30(1)(a)" in problem(answer, 409)

    @pytest.mark.compliance("PIPL 38", "record and notice name the route of each recipient abroad")
    def test_a_transfer_abroad_shows_with_its_safeguard_and_asks_for_an_assessment(self, facts):
        abroad = StatedRecipient(
            name="Lake", role="controller", country="US", purposes=("train",), safeguard="standard clauses"
        )
        controller = facts.controller.model_copy(update={"recipients": (abroad,)})
        record = ropa.ropa(dataclasses.replace(facts, controller=controller)).plain()
        train = next(
            each["facts"] for each in record["sections"] if each["facts"].get("purpose_id") == "train"
        )
        assert train["transfers"][0] == "Lake, US: standard clauses"
        assert train["transfers"][-1] == "what the registry keeps is stored in DE"
        assert any("abroad" in case for case in train["pipl_55"])
        notice = draft(files.packaged()["train"].completed, NoticeFacts(controller, facts.settings.caps))
        assert all("Lake, US, standard clauses" in text.text for text in notice.texts)

    def test_who_takes_data_out_of_china_needs_a_route_though_no_border_of_the_eea_is_crossed(self, facts):
        at_home = StatedRecipient(name="Mill", role="controller", country="FR", purposes=("train",))
        controller = facts.controller.model_copy(update={"recipients": (at_home,)})
        said = dataclasses.replace(facts, controller=controller)
        assert ropa.ropa(said)
        opened = {**facts.notices, "cross_border": facts.notices["train"]}
        with pytest.raises(ConflictError, match=r"recipients\[0\]\.safeguard: PIPL Art\. 38"):
            ropa.ropa(dataclasses.replace(said, notices=opened))
        route = at_home.model_copy(update={"safeguard": "standard contract"})
        controller = controller.model_copy(update={"recipients": (route,)})
        record = ropa.ropa(dataclasses.replace(said, notices=opened, controller=controller)).plain()
        (border,) = [
            each["facts"] for each in record["sections"] if each["heading_zh"].startswith("为您同意")
        ]
        assert border["transfers"][0] == "Mill, FR: standard contract"

    @pytest.mark.compliance("PIPL 55", "every purpose says which cases of the article it is")
    def test_the_cases_of_pipl_55_are_known_for_every_purpose(self):
        offered = {name for name, each in purposes().items() if each.basis != "refused"}
        assert set(processing.load_processing()) == offered
        for name, each in purposes().items():
            if name in offered:
                assert ("sensitive" in processing.load_processing()[name].cases) == ("29" in each.pipl), name
        assert "automated" in processing.load_processing()["personalize"].cases

    def test_as_csv_it_has_a_line_for_each_purpose_and_the_same_words(self, ask):
        rows = list(csv.DictReader(io.StringIO(ask("ropa", format="csv").text)))
        sections = ask("ropa").json()["sections"]
        records = [each["facts"] for each in sections if "purpose_id" in each["facts"]]
        assert [row["purpose_id"] for row in rows] == [record["purpose_id"] for record in records]
        assert rows[0]["data"] == "; ".join(records[0]["data"])

    def test_a_cell_that_a_spreadsheet_would_run_is_inert(self, facts):
        named = facts.controller.model_copy(update={"name": "=HYPERLINK(1)", "joint": ()})
        text = render(ropa.ropa(dataclasses.replace(facts, controller=named)), Format.CSV)
        assert next(csv.DictReader(io.StringIO(text)))["controller"].startswith("'=HYPERLINK(1)")

    def test_few_people_are_not_counted_exactly(self, shop, ask):
        for _ in range(3):
            shop.grant(shop.phone(), "train")
        train = next(
            e["facts"] for e in ask("ropa").json()["sections"] if e["facts"].get("purpose_id") == "train"
        )
        assert train["standing"] == ["granted: <10"]

    def test_a_choice_whose_time_is_over_counts_as_expired(self, shop):
        shop.grant(shop.phone(), "train")
        registry, now = shop.http.app.state.registry, int(shop.clock.now)

        def counted(at):
            with registry.store.session() as session:
                return gather_facts(session, registry.settings, registry.controller, at).counts["train"]

        with registry.store.session.begin() as session:
            session.execute(update(StandingChoice).values(expires_at=1000 * (now + 10)))
        assert counted(now) == {"granted": 1}
        assert counted(now + 10) == {"expired": 1}


class TestImpactAssessment:
    @pytest.mark.compliance("GDPR 35", "the assessment has the four parts, with the figures that hold")
    def test_it_has_the_notices_caps_and_the_rounds_figures(self, concluded, shop, ask):
        terms, notice = concluded(), shop.notices()["analytics"]
        document = ask("dpia", purpose="analytics").json()
        headings = " ".join(each["heading"] for each in document["sections"])
        assert all(f"GDPR Art. 35(7)({letter})" in headings for letter in "abcd")
        figures = lines(document, "3.")
        assert (figures["epsilon_cap"], figures["delta_cap"]) == (notice.epsilon, notice.delta)
        assert figures["cohort_floor"] == 200
        (row,) = next(each["rows"] for each in document["sections"] if each["heading"].startswith("3."))
        assert (row["clip"], row["sigma"], row["delta"], row["epsilon"]) == (
            terms.norm, terms.sigma, terms.delta, terms.epsilon,
        )  # fmt: skip
        assert (row["least_set"], row["outcome"]) == (terms.require_terms().least_set, "released")

    @pytest.mark.compliance("PIPL 56", "lawfulness, influence and protection; kept for three years")
    def test_it_has_the_three_contents_and_asks_what_only_a_person_can_judge(self, ask):
        document = ask("dpia", purpose="personalize").json()
        headings = " ".join(each["heading"] for each in document["sections"])
        assert all(f"PIPL Art. 56({number})" in headings for number in (1, 2, 3))
        assert "three years" in lines(document, "6.")["kept"]
        assert "blank" in lines(document, "2.")["necessity"]
        assert document["blanks"] == json.dumps(document).count('"blank":') > 10

    def test_a_changed_cap_shows(self, opened):
        with opened(epsilon={"analytics": 1.25}) as shop:
            answer = shop.http.get("/v1/documents/dpia?purpose=analytics", headers=shop.as_(Role.OFFICER))
            assert lines(answer.json(), "3.")["epsilon_cap"] == 1.25

    @pytest.mark.compliance("PIPL 55", "there is an assessment to write for every purpose before it opens")
    def test_every_purpose_that_can_be_offered_has_one_before_it_opens(self, ask, shop):
        offered = [each.id for each in purposes().values() if each.basis != "refused"]
        pursued = {*shop.notices(), "consent_record"}
        assert {"health", "partner", "cross_border"} < {*offered} - pursued
        for purpose in offered:
            document = ask("dpia", purpose=purpose).json()
            closed = lines(document)["standing"] == {"en": "not open yet", "zh": "尚未启用"}
            assert closed is (purpose not in pursued)
            assert any(each["heading"].startswith("4.") and each["rows"] for each in document["sections"])

    @pytest.mark.parametrize(("purpose", "status"), [("biometric", 422), ("price_profile", 422), ("x", 404)])
    def test_what_is_never_offered_or_unknown_has_none(self, ask, purpose, status):
        assert repr(purpose) in ask("dpia", status, purpose=purpose).json()["detail"]

    def test_it_says_how_it_is_handed_in_and_then_that_it_was(self, ask, shop):
        told = lines(ask("dpia", purpose="health").json(), "7.")
        assert "sha256sum" in told["digest"]["en"]
        assert "sha256sum" in told["digest"]["zh"]
        assert told["brought"] == "none"
        method, path, body = told["hand_in"].split(" ", 2)
        finished = hashlib.sha256(b"the finished file").hexdigest()
        said = json.loads(body) | {"document_sha256": finished, "valid_until": int(shop.clock.now) + 86400}
        kept = shop.http.request(method, path, json=said, headers=shop.as_(Role.OFFICER, "ada")).json()
        (brought,) = lines(ask("dpia", purpose="health").json(), "7.")["brought"]
        assert brought == f"{finished}: dpia by ada, not approved yet, until 2027-01-16"
        method, path = told["approve"].format(id=kept["id"]).split()
        grace = shop.as_(Role.OFFICER, "grace")
        read = shop.match(path.removesuffix("/approval"), grace)
        assert shop.http.request(method, path, headers=read).status_code == 200
        (brought,) = lines(ask("dpia", purpose="health").json(), "7.")["brought"]
        assert "approved by grace" in brought
        assert lines(ask("dpia", purpose="family").json(), "7.")["brought"] == "none"

    def test_the_one_of_taking_data_abroad_names_who_receives_them_where(self, ask):
        said = lines(ask("dpia", purpose="cross_border").json(), "1.")
        assert "Covey Example Parcel (processor, DE)" in said["recipients"]
        assert "Covey Example Parcel, DE: standard contract (PIPL Art. 38(1)(3))" in said["transfers"]
        assert any("abroad" in each for each in said["triggers"])

    def test_risks_of_sums_are_those_of_purposes_with_sums(self, ask):
        def told(purpose):
            return ask("dpia", purpose=purpose, format="md").text

        assert "work together" in told("train")
        assert "work together" not in told("core")


class TestDossier:
    @pytest.mark.compliance("GDPR 5(2)", "a round's dossier is made from its logged manifest and evidence")
    def test_it_says_what_was_logged(self, concluded, ask, shop):
        terms = concluded()
        document = ask("dossier", round="round-1").json()
        said = lines(document)
        assert (said["epsilon"], said["clip"], said["honest"]) == (0.6, terms.norm, HONEST)
        assert (said["cohort"], said["excluded"], said["integrity"]) == (400, 10, True)
        assert (said["least_set"], said["issued"]) == (terms.terms.least_set, terms.terms.issued)
        assert said["least_issued"] == terms.least_issued
        assert said["holds"] is True
        logged = [digest_of(entry[1:]).hex() for entry in shop.entries() if entry[:1] == LEAF_MANIFEST]
        assert [said["manifest"]] == logged
        assert document["log"]["size"] == shop.checkpoint().size

    def test_it_shows_where_less_was_logged_than_was_spent(self, concluded, ask):
        concluded(epsilon=0.5)
        assert lines(ask("dossier", round="round-1").json())["holds"] is False

    def test_it_shows_where_the_operator_said_otherwise(self, opened, ask, concluded, shop, facts):
        concluded()
        apart = facts.controller.model_copy(update={"same_operator": False})
        registry = shop.http.app.state.registry
        with registry.store.session() as session:
            found = gather_facts(session, registry.settings, apart, registry.calendar.now)
        assert "otherwise" in render(dossier(found, "round-1"), Format.MD)

    def test_what_stays_when_both_collude_is_printed_and_not_called_a_bound(self, concluded, ask):
        concluded()
        said = lines(ask("dossier", round="round-1").json(), "5.")
        assert said["shared_operator"] is True
        assert round(said["collusion_epsilon"]) == 16
        assert said["collusion"].startswith("no meaningful bound: epsilon 16")
        assert said["collusion_meaningful"] is False

    def test_it_names_the_committees_and_who_complained_in_both_languages(self, concluded, ask):
        terms = concluded()
        document = ask("dossier", round="round-1").json()
        (section,) = [each for each in document["sections"] if each["heading"].startswith("4.")]
        shape = terms.terms.standing
        kind = {"en": "organisations", "zh": "机构"}
        opening = {"members": 4, "needed": shape.threshold, "opened": 4}
        assert section["rows"] == [{"kind": kind, **opening}]
        assert section["heading_zh"].startswith("四、")
        counts = [
            f"{key.hex()}: {count}"
            for key, count in zip(terms.terms.organisations, (0, 1, 0, 0), strict=True)
        ]
        assert section["facts"]["complaints"] == counts
        page = ask("dossier", round="round-1", format="html").text
        assert "各机构（按其公钥）投诉的手机数" in page
        assert "Integrity of the sum is proved" in page

    def test_it_names_the_sets_as_the_log_has_them(self, concluded, ask, shop):
        concluded()
        said = lines(ask("dossier", round="round-1").json(), "7.")
        sets = shop.signed_sets("round-1")
        assert (said["included"], said["final"]) == (sets.included.root.hex(), sets.final.root.hex())
        assert said["release"] == hashlib.sha256(b"a signed release").hexdigest()

    def test_a_round_that_was_aborted_before_a_set_has_no_committee(self, shop, ask):
        terms = shop.manifest(shop.issuer("analytics"))
        assert shop.conclude(terms, shop.announce(terms), "aborted: too few").status_code == 200
        document = ask("dossier", round="round-1").json()
        assert [each["rows"] for each in document["sections"] if each["heading"].startswith("4.")] == [[]]
        assert lines(document)["outcome"] == "aborted: too few"

    def test_a_round_that_is_not_over_has_none(self, shop, ask):
        shop.announce(shop.manifest(shop.issuer("analytics")))
        assert "no logged evidence" in ask("dossier", 409, round="round-1").json()["detail"]
        assert "no logged manifest" in ask("dossier", 404, round="round-2").json()["detail"]


class TestCollusion:
    @pytest.mark.parametrize(("query", "epsilon", "alone"), [("q20", 0.6, 16), ("q1", 1.4, 48)])
    def test_it_is_the_figure_of_the_privacy_page(self, query, epsilon, alone):
        """docs/privacy.md, 400 people, the column "alone"."""
        (step,) = costs._query(query, epsilon, 400)
        assert round(collusion.find_collusion([step.mechanism], HONEST, 1e-6).epsilon) == alone

    def test_a_training_counts_as_a_whole(self, shop):
        step, issuer = q20(), shop.issuer("analytics")
        noise = {"length": step.length, "norm": step.norm, "scale": step.scale, "sigma": step.sigma}
        terms = shop.manifest(issuer, query="q20", plan=Plan(1.0, (step, step)), bits=step.bits, **noise)
        whole = collusion.find_collusion(collusion.mechanisms_of(terms), HONEST, 1e-6)
        assert whole.epsilon > collusion.find_collusion([step.mechanism], HONEST, 1e-6).epsilon

    @given(st.integers(1, 10**6))
    @settings(deadline=None, max_examples=20)
    def test_it_is_never_less_than_what_holds_without_collusion(self, honest):
        mechanism = q20().mechanism
        alone = collusion.find_collusion([mechanism], honest, 1e-6)
        assert alone.epsilon >= account([mechanism], 1e-6).epsilon * (1 - 1e-9)
        assert alone.is_meaningful == (alone.epsilon <= math.log(999))
        assert str(alone).startswith("no meaningful bound") == (not alone.is_meaningful)


class TestAuditChecklist:
    OFFICERS = (
        "PIPL 22", "PIPL 24(1)", "PIPL 25", "PIPL 26", "PIPL 27", "PIPL 49", "PIPL 51(4)", "PIPL 51(5)",
        "PIPL 58",
    )  # fmt: skip
    """Rows about which software shows nothing."""

    @pytest.fixture
    def rows(self, ask):
        return [row for section in ask("pipl-audit").json()["sections"] for row in section.get("rows", ())]

    @pytest.mark.compliance(
        "PIPL 54", "every row names routes, documents and tests that exist, or is the officer's to answer"
    )
    def test_every_row_is_shown_by_what_exists_or_is_the_officers(self, rows, shop):
        served = {
            f"{method.upper()} {path}"
            for path, methods in shop.http.app.openapi()["paths"].items()
            for method in methods
        }
        pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
        there = served | pages | {f"document {name}" for name in Name}
        tests = {mark.test for mark in compliance.read_marks(ROOT / "tests")}
        for row in rows:
            evidence, shown = ([] if row[of] == "none" else row[of] for of in ("evidence", "tests"))
            assert {*evidence} <= there, row
            assert {*shown} <= tests, row
            assert row["question"]["en"]
            assert re.search("[\u4e00-\u9fff]", row["question"]["zh"])
            if row["article"] in self.OFFICERS:
                assert not evidence
                assert not shown
                assert row["finding"] == {"blank": pipl_audit.OUTSIDE}
            else:
                assert evidence, row
                assert row["finding"]["blank"] != pipl_audit.OUTSIDE
        assert {*self.OFFICERS} < {row["article"] for row in rows}

    def test_the_articles_of_the_order_are_there(self, rows):
        asked = {int(re.search(r"\d+", row["article"])[0]) for row in rows}
        assert asked >= {13, 14, 15, 16, 17, *range(19, 32), 38, 39, 40, *range(44, 59)}

    def test_prices_are_the_officers_to_show(self, rows):
        (row,) = [row for row in rows if "price" in row["question"]["en"]]
        assert (row["article"], row["finding"]["blank"]) == ("PIPL 24(1)", pipl_audit.OUTSIDE)

    def test_it_says_whose_reading_it_is_in_both_languages(self, ask):
        said = lines(ask("pipl-audit").json(), "This list")
        assert "Covey's reading" in said["reading"]["en"]
        assert "Covey 对" in said["reading"]["zh"]
        assert "annex of Order 18" in said["annex"]["blank"]

    def test_every_theme_of_the_order_is_there_in_both_languages(self, ask):
        sections = ask("pipl-audit").json()["sections"]
        assert len(sections) == 14
        assert all(re.search("[\u4e00-\u9fff]", each["heading_zh"]) for each in sections)


class TestRecommenderText:
    @pytest.mark.compliance("DSA 27", "every reason that a phone may give is among the parameters told")
    def test_every_reason_of_the_recommender_is_told(self, ask):
        others = {"granted", "refused", "withdrawn", "ended", "purged", "contributed", "sealed", "rules"}
        others |= {"forked", "chosen", "not_accepted", "not_continued", "corrected_by_you"}
        others |= {"tag_blocked", "tag_unblocked", "tag_corrected", "tag_restored"}
        codes = {re.sub("_(for|against)$", "", code) for code in _PHRASES if not code.startswith("tests ")}
        assert codes - others == set(SAID)
        en, zh = (" ".join(each["text"]) for each in ask("dsa").json()["sections"])
        for english, chinese in SAID.values():
            assert english in en
            assert chinese in zh

    def test_the_figures_are_the_codes_and_the_shop_is_named(self, ask):
        en, zh = (" ".join(each["text"]) for each in ask("dsa").json()["sections"])
        assert f"after every {HALF_LIFE:g} days" in en
        assert f"每过 {HALF_LIFE:g} 天" in zh
        assert "https://shop.example/privacy" in en
        assert "$" not in en + zh


class TestMeasures:
    @pytest.mark.compliance("PIPL 51", "the measures are told with the values that hold")
    @pytest.mark.compliance("GDPR 32", "the measures are told with the values that hold")
    def test_they_follow_the_configuration(self, opened):
        def told(**changes):
            with opened(**changes) as shop:
                headers = shop.as_(Role.AUDITOR)
                return shop.http.get("/v1/documents/toms?format=md", headers=headers).text

        assert "an issuer key lives 3600 s" in told(epoch_seconds=3600)
        plain = told(epsilon={"analytics": 1.5}, epsilon_total=3.0)
        assert "analytics 1.5; all together 3" in plain
        assert "only phones hold the registry to its log" in plain

    @pytest.mark.compliance("GDPR 32", "the measures say which keys rotate, how often, and that one does not")
    def test_they_say_which_keys_rotate_and_which_does_not(self, opened, tmp_path):
        jwks = tmp_path / "jwks.json"
        jwks.write_text('{"keys": []}', "utf-8")
        provider = {"idp_issuer": "https://idp.example", "idp_audience": "covey", "idp_jwks": str(jwks)}
        with opened(epoch_seconds=3600, idp_jwks_seconds=90, **provider) as shop:
            headers = shop.as_(Role.AUDITOR)
            rows = [
                (row["measure"], row["value"])
                for section in shop.http.get("/v1/documents/toms", headers=headers).json()["sections"]
                for row in section["rows"]
            ]
        (tickets,) = [value for measure, value in rows if measure.startswith("Ticket issuer keys")]
        (tokens,) = [value for measure, value in rows if measure.startswith("Access tokens run out")]
        (signing,) = [value for measure, value in rows if "signing key is not rotated" in measure]
        assert tickets == "an epoch lasts 3600 s"
        assert tokens == (
            "a device's tokens after 600 s, those of the command after the hours given; the provider's keys "
            "after 90 s"
        )
        assert signing == "with another key the registry does not start on this database"
        (tmp_path / "registry.key").write_text("11" * 32)
        refused = pytest.raises(DamageError, match="is the key file the one this database was made with")
        with refused, opened():
            pass

    def test_the_last_rounds_noise_is_among_them(self, concluded, ask):
        terms = concluded()
        assert f"sigma {terms.sigma:g}" in ask("toms", format="md").text

    def test_where_nobody_decided_no_choice_is_documented(self, shop, ask):
        shop.phone()
        standing = [
            each["facts"]["standing"]
            for each in ask("ropa").json()["sections"]
            if "standing" in each["facts"]
        ]
        assert standing == ["none yet"] * (len(shop.notices()) + 1)


class TestRendering:
    @pytest.mark.parametrize("name", ["ropa", "pipl-audit", "dsa", "toms"])
    def test_the_page_is_one_file_in_two_languages_that_runs_and_fetches_nothing(self, ask, name):
        answer = ask(name, format="html")
        page = answer.text
        assert page.startswith("<!doctype html>")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"<(script|img|link|iframe)|url\(|@import|src=", page)
        assert "@media print" in page
        assert re.search('lang="zh">[^<]*[\u4e00-\u9fff]', page)

    def test_nothing_that_a_controller_is_called_becomes_markup(self, facts):
        controller = facts.controller.model_copy(update={"name": "<script>x</script>|*"})
        made = ropa.ropa(dataclasses.replace(facts, controller=controller))
        assert "<script>" not in render(made, Format.HTML)
        assert "\\<script\\>x\\</script\\>\\|\\*, 1 Example Street" in render(made, Format.MD)

    def test_blanks_are_marked_in_every_format(self, ask):
        html, md = (ask("dpia", purpose="train", format=each).text for each in ("html", "md"))
        count = ask("dpia", purpose="train").json()["blanks"]
        assert html.count('<span class="blank">') == md.count("\\[the officer fills in: ") == count
        assert f"{count} blanks are for the officer" in md

    def test_what_is_no_table_is_not_written_as_one(self, ask):
        assert "no table" in ask("toms", 422, format="csv").json()["detail"]

    def test_a_document_without_sections_is_one(self, facts):
        made = Document("x", Bilingual("X", "甲"), "nothing", facts, (Section(Bilingual("Y", "乙")),))
        assert "X · 甲" in render(made, Format.MD)


class TestWhoAsks:
    @pytest.mark.parametrize("role", [Role.SUBJECT, Role.SERVICE, Role.OPERATOR, Role.ADMIN])
    def test_officers_and_auditors_alone(self, ask, role):
        assert "officer" in ask("toms", 403, role=role).json()["detail"]

    def test_nobody_without_a_token(self, shop, problem):
        problem(shop.http.get("/v1/documents/ropa"), 401)

    @pytest.mark.parametrize(
        ("name", "params"),
        [("dpia", {}), ("dossier", {}), ("ropa", {"purpose": "train"}),
         ("dpia", {"purpose": "train", "round": "r"}),
         ("nothing", {}), ("ropa", {"format": "pdf"}), ("dpia", {"purpose": "x" * 201})],
    )  # fmt: skip
    def test_a_question_that_makes_no_sense_is_refused(self, ask, name, params):
        ask(name, 422, **params)


class TestCommand:
    @pytest.fixture
    def environment(self, shop, database_url, tmp_path, monkeypatch):
        monkeypatch.setenv("COVEY_REGISTRY_DATABASE_URL", database_url)
        monkeypatch.chdir(tmp_path)

    def test_it_prints_what_the_route_answers(self, environment, ask, capsys):
        assert covey.main(["registry", "document", "ropa", "--format", "csv"]) == 0
        printed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert printed == list(csv.DictReader(io.StringIO(ask("ropa", format="csv").text)))

    def test_it_writes_a_whole_file_or_none(self, environment, tmp_path, capsys):
        page = tmp_path / "dpia.html"
        asked = ["registry", "document", "dpia", "--purpose", "train", "--format", "html", "--out", str(page)]
        assert covey.main(asked) == 0
        assert page.read_text("utf-8").rstrip().endswith("</html>")
        assert "blanks in it are for the officer" in capsys.readouterr().out
        assert covey.main([*asked[:-1], str(tmp_path / "no" / "x.html")]) == 2
        assert not list(tmp_path.rglob("*.new"))

    def test_a_missing_fact_is_named_and_exits_with_2(self, environment, tmp_path, monkeypatch, capsys):
        path = tmp_path / "controller.toml"
        monkeypatch.setenv("COVEY_REGISTRY_CONTROLLER", str(path))
        whole = json.loads(load(None).model_dump_json(exclude_none=True))
        for gone, named in (("dpo", "dpo: Art. 30(1)(a)"), ("authority", "authority: Field required")):
            path.write_text(toml({key: value for key, value in whole.items() if key != gone}), "utf-8")
            assert covey.main(["registry", "document", "ropa"]) == 2
            said = capsys.readouterr()
            assert named in said.err
            assert said.out == ""

    def test_no_database_is_made_by_asking(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("COVEY_REGISTRY_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
        assert covey.main(["registry", "document", "ropa"]) == 2
        assert "there is no database" in capsys.readouterr().err
        assert not (tmp_path / "none.db").exists()


def toml(facts: dict) -> str:
    """The facts as TOML: tables last, as JSON's inline values are TOML's too but for objects."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in facts.items() if not nested(value)]
    tables = []
    for key, value in facts.items():
        for each in [value] if isinstance(value, dict) else value if nested(value) else []:
            head = f"[{key}]" if isinstance(value, dict) else f"[[{key}]]"
            tables += [head, *(f"{name} = {json.dumps(one)}" for name, one in each.items())]
    return "\n".join([*plain, *tables])


def nested(value) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and value != [] and isinstance(value[0], dict))


def test_an_outsider_can_be_named_as_representative(facts):
    named = load(None).model_copy(update={"representative": Contact(name="R", email="r@r.example")})
    assert isinstance(named, Controller)
    common, *_ = ropa.ropa(dataclasses.replace(facts, controller=named)).plain()["sections"]
    assert common["facts"]["representative"] == "R, r@r.example"

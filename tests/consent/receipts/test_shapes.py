import copy
import json
import re
import uuid
from collections.abc import Iterator
from importlib import resources
from typing import Any

import jsonschema
import pytest
import rdflib
from pyshacl import validate
from rdflib import RDF, SKOS, Graph

from covey_consent.policy import purposes
from covey_consent.receipts import parties, signed_receipts
from covey_consent.receipts.content import STATUS
from covey_consent.receipts.jsonld import CONTEXT
from covey_consent.receipts.schema_27560 import JSON_SCHEMA, SHACL_SHAPES, make_json_schema, read_packaged

OPTIONAL = {
    "covey:privacyBudget", "dpv:hasCountry", "dpv:hasDataProtectionOfficer", "dpv:hasTechnicalMeasure",
}  # fmt: skip
OFFICER = ("dpv:hasDataProtectionOfficer", "dpv:hasContact")
VALIDATOR = jsonschema.Draft202012Validator(json.loads(read_packaged(JSON_SCHEMA)))
SHAPES = Graph().parse(data=read_packaged(SHACL_SHAPES), format="turtle")

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

Path = tuple[str | int, ...]

UNSHOWN = (
    ("partner", "objected", ""), ("partner", "refused", "zh"), ("partner", "withdrawn", "en"),
    ("*", "restricted", ""), ("*", "lifted", "zh"),
)  # fmt: skip


def plain(receipt) -> dict[str, Any]:
    return json.loads(signed_receipts.canonical(receipt))


def graph(receipt: dict[str, Any]) -> Graph:
    return Graph().parse(data=json.dumps(receipt), format="json-ld")


def conforms(receipt: dict[str, Any]) -> bool:
    return validate(graph(receipt), shacl_graph=SHAPES)[0]


def fields(node: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every property, but for what is inside the evidence and the context."""
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from fields(item, (*path, place))
    if isinstance(node, dict):
        for name, value in node.items():
            yield (*path, name)
            if name not in ("@context", "covey:evidence"):
                yield from fields(value, (*path, name))


def without(receipt: dict[str, Any], path: Path) -> dict[str, Any]:
    receipt = copy.deepcopy(receipt)
    node = receipt
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    return receipt


@pytest.fixture
def receipts(registrar) -> list[dict[str, Any]]:
    """Receipts of every state, in both languages, and one of several records."""
    one = [
        registrar.receipt(registrar.record(purpose, language, state=state))
        for purpose, language in (("train", "en"), ("personalize", "zh"), ("health", "en"), ("core", "zh"))
        for state in STATUS
    ]
    unshown = [
        registrar.receipt(registrar.unshown(purpose, state, language)) for purpose, state, language in UNSHOWN
    ]
    mixed = registrar.receipt(
        registrar.record(), registrar.unshown("*", "restricted", event=str(uuid.UUID(int=1)))
    )
    many = registrar.receipt(registrar.record(), registrar.record("analytics", event=str(uuid.UUID(int=1))))
    return [plain(receipt) for receipt in (*one, *unshown, many, mixed)]


def test_the_packaged_schema_is_the_one_that_the_code_makes():
    assert read_packaged(JSON_SCHEMA) == make_json_schema()
    jsonschema.Draft202012Validator.check_schema(json.loads(read_packaged(JSON_SCHEMA)))


def test_every_receipt_is_accepted_by_the_schema_and_by_the_shapes(receipts):
    for receipt in receipts:
        VALIDATOR.validate(receipt)
        assert conforms(receipt)


def test_no_mandatory_field_can_be_left_out(registrar):
    receipt = plain(registrar.receipt())
    mandatory = [path for path in fields(receipt) if path[-1] not in OPTIONAL and path[-2:] != OFFICER]
    assert len({path[-1] for path in mandatory}) > 30
    for path in mandatory:
        assert not VALIDATOR.is_valid(without(receipt, path)), path


# What the graph cannot tell: names of nodes, what the context says, a type that is given beside others.
@pytest.mark.parametrize("field", sorted({
    "dct:conformsTo", "dct:created", "dct:identifier", "dct:publisher", "dpv:hasRecordOfActivity",
    "dpv:hasDataSubject", "dpv:hasNotice", "dct:language", "schema:version", "covey:sha256", "dpv:hasProcess",
    "dpv:hasPurpose", "dpv:hasLegalBasis", "dpv:hasPersonalData", "covey:dataInWords", "dpv:hasNecessity",
    "dpv:hasStorageCondition", "dpv:hasLocation", "dpv:hasDuration", "rdf:value", "dpv:hasRecipient",
    "dpv:hasDataController", "dpv:hasName", "dpv:hasAddress", "dpv:hasContact", "dpv:hasJurisdiction",
    "dpv:hasConsentControl", "dpv:isExercisedAt", "dpv:hasRight", "dct:title", "dct:description",
    "dpv:hasAuthority", "dpv:hasConsentStatus", "dpv:isIndicatedAtTime", "dpv:isIndicatedBy",
    "dpv:hasIndicationMethod", "covey:evidence",
}))  # fmt: skip
def test_the_shapes_miss_each_mandatory_field(registrar, field):
    receipt = plain(registrar.receipt())
    paths = [path for path in fields(receipt) if path[-1] == field]
    paths = [path for path in paths if not OPTIONAL & set(path)]
    assert paths
    for path in paths:
        assert not conforms(without(receipt, path)), path


@pytest.mark.parametrize("purpose", ["partner", "*"])
def test_no_mandatory_field_of_a_record_without_a_notice_can_be_left_out(registrar, purpose):
    receipt = plain(registrar.receipt(registrar.unshown(purpose, "objected")))
    paths = [path for path in fields(receipt) if "dpv:hasProcess" not in path]
    mandatory = [path for path in paths if path[-1] not in OPTIONAL and path[-2:] != OFFICER]
    assert len(mandatory) > 20
    for path in mandatory:
        assert not VALIDATOR.is_valid(without(receipt, path)), path
    of_graph = {"dct:title", "dct:description", "dpv:hasDataSubject", "dpv:hasRight", "dpv:hasAuthority",
                "dpv:hasConsentStatus", "covey:evidence", "dpv:hasDataController"}  # fmt: skip
    for name in of_graph:
        path = ("dpv:hasRecordOfActivity", 0, name)
        assert not conforms(without(receipt, path)), path


def test_only_what_has_a_notice_is_called_a_consent_record(registrar):
    receipt = plain(registrar.receipt(registrar.unshown("partner", "objected")))
    assert receipt["dct:conformsTo"] == "https://w3id.org/covey/receipt"
    assert receipt["dpv:hasRecordOfActivity"][0]["@type"] == "dpv:RightExerciseRecord"
    claiming = receipt | {"dct:conformsTo": plain(registrar.receipt())["dct:conformsTo"]}
    assert claiming["dct:conformsTo"].endswith("27560#receipt-eu-gdpr")
    assert not conforms(claiming)
    status = ("dpv:hasRecordOfActivity", 0, "dpv:hasConsentStatus", 0)
    agreeing = without(receipt, (*status, "@type"))
    agreeing["dpv:hasRecordOfActivity"][0]["dpv:hasConsentStatus"][0]["@type"] = "dpv:ConsentGiven"
    assert not conforms(agreeing)


def test_a_field_that_nobody_defined_is_refused(registrar):
    receipt = plain(registrar.receipt())
    receipt["dpv:hasRecordOfActivity"][0]["dpv:hasMarketing"] = "yes"
    assert not VALIDATOR.is_valid(receipt)


def test_nothing_is_fetched_to_read_a_receipt(registrar, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    read = graph(plain(registrar.receipt()))
    dpv = rdflib.Namespace("https://w3id.org/dpv#")
    (process,) = read.subjects(RDF.type, dpv.Process)
    training = rdflib.URIRef("https://w3id.org/covey#FederatedModelTraining")
    assert (process, dpv.hasPurpose, training) in read
    assert isinstance(next(read.objects(process, dpv.hasLegalBasis)), rdflib.URIRef)


@pytest.fixture
def vocabulary() -> Graph:
    folder = resources.files("covey_consent.receipts") / "vocabulary"
    found = Graph()
    for name in ("covey", "pipl"):
        found.parse(data=folder.joinpath(f"{name}.ttl").read_text("utf-8"), format="turtle")
    return found


def test_each_own_term_is_defined_with_words_in_both_languages(vocabulary, receipts):
    used = {*STATUS.values(), *parties.RIGHTS.values()}
    for purpose in purposes.load().values():
        used |= {*purpose.dpv, *purpose.legal_basis}
    used |= set(re.findall(r"\b(?:covey|pipl):[\w-]+", json.dumps(receipts)))
    own = {term for term in used if term.startswith(("covey:", "pipl:"))}
    assert len(own) > 25
    for term in own:
        prefix, _, name = term.partition(":")
        labels = set(vocabulary.objects(rdflib.URIRef(CONTEXT[prefix] + name), SKOS.prefLabel))
        assert {label.language for label in labels} == {"en", "zh"}, term


def test_each_own_concept_has_its_place_among_the_vocabularys(vocabulary):
    concepts = set(vocabulary.subjects(RDF.type)) - set(vocabulary.subjects(RDF.type, RDF.Property))
    for concept in concepts - {rdflib.URIRef(CONTEXT["pipl"] + "PIPL")}:
        above = set(vocabulary.transitive_objects(concept, SKOS.broader))
        assert any(str(one).startswith(CONTEXT["dpv"]) for one in above), concept


def test_every_purpose_that_is_offered_says_its_terms():
    for purpose in purposes.load().values():
        if purpose.basis != purposes.REFUSED:
            assert purpose.dpv
            assert purpose.personal_data
            assert any(basis.startswith("eu-gdpr:") for basis in purpose.legal_basis)
            assert any(basis.startswith("pipl:") for basis in purpose.legal_basis)
            assert len(purpose.data) == len(purpose.data_zh)
            assert (purpose.storage == "phone") == (purpose.retention.startswith("on the phone")) or (
                purpose.id in ("context", "marketing")
            )

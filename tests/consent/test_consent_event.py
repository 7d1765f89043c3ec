from dataclasses import asdict, fields

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from covey_consent.decisions.consent_event import Record, commit

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.integers(0, 2**53 - 1)
RECORDS = st.builds(Record, **{one.name: NUMBER if one.type == "int" else TEXT for one in fields(Record)})


@given(RECORDS)
def test_a_records_bytes_are_canonical_json(record):
    assert record.canonical() == rfc8785.dumps(asdict(record))


@given(RECORDS, RECORDS, st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_commitment_is_to_one_record_under_one_salt(one, other, salt, another):
    assert (commit(salt, one) == commit(salt, other)) == (one == other)
    assert (commit(salt, one) == commit(another, one)) == (salt == another)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.five_phases import mail
from covey_privacy.five_phases.messages import Parcel, Parcels

SEALED = st.integers(0, 255).map(lambda byte: bytes([byte]) * 144)
SENT = st.dictionaries(
    st.integers(0, 12), st.lists(st.tuples(st.integers(0, 12), SEALED), max_size=6), max_size=8
)


def bundle(device, parcels):
    return wire.encode(Parcels(device, tuple(Parcel(peer, sealed) for peer, sealed in parcels)))


@given(SENT, st.randoms(use_true_random=False))
def test_every_parcel_between_senders_arrives_under_its_senders_name(sent, shuffle):
    bundles = [wire.decode(mail.Bundle, bundle(device, parcels)) for device, parcels in sent.items()]
    shuffle.shuffle(bundles)
    sorted_ = mail.sort({each.device: each.parcels for each in bundles})
    inboxes = {device: wire.decode(Parcels, inbox) for device, inbox in sorted_.items()}
    assert {device: inbox.device for device, inbox in inboxes.items()} == {device: device for device in sent}
    for device, inbox in inboxes.items():
        expected = [
            Parcel(sender, sealed)
            for sender in sorted(sent)
            for peer, sealed in sent[sender]
            if peer == device
        ]
        assert list(inbox.parcels) == expected


def test_half_a_parcel_is_refused():
    cut = wire.encode(mail.Bundle(1, bytes(147)))
    with pytest.raises(PeerError, match="in steps of 148 is allowed"):
        wire.decode(mail.Bundle, cut)

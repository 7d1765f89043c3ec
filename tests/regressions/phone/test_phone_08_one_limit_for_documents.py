"""What is signed is also taken: documents above the one limit are refused when they are signed."""

import numpy as np

from covey_models.p1_steps import MODEL
from covey_privacy.release import Array, Figure, Release, open_release, sign_release
from covey_privacy.signatures import SigningKey

OPERATOR = SigningKey(bytes(32))


def test_phone_08_one_limit_for_documents():
    arrays = (Array.of("factors", np.zeros((40_000, 8))),)
    signed = sign_release(Release(MODEL, 1, "p1-1", (Figure("mix", 0.5),), arrays), OPERATOR)
    assert len(signed) > 2**20
    assert open_release(signed, OPERATOR.public).array("factors").shape == (40_000, 8)

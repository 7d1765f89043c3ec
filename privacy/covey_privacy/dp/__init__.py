"""Distributed differential privacy: what a device adds to a sum, and what that costs its owner.

A vector is rounded to integers of bounded norm, given its share of Skellam noise and reduced to the ring
that secure aggregation sums in; accounting composes the rounds a person took part in.

    encoding = Encoding(length, norm, scale, bits, seed)
    sigma = calibrate(encoding, epsilon=1.0, delta=1e-6)
    share = Skellam(noise_share(sigma, scale, honest))
    message = encoding.to_ring(encoding.encode(vector) + share.sample(encoding.padded))
    total = encoding.decode(ring_sum)
    spent = epsilon([SkellamMechanism.for_encoding(encoding, sigma)], delta=1e-6)
"""

from covey_privacy.dp.accounting import Spent, account, epsilon
from covey_privacy.dp.calibration import calibrate, calibrate_steps, noise_share
from covey_privacy.dp.clipping import AdaptiveClip
from covey_privacy.dp.encoding import Encoding, fit_scale
from covey_privacy.dp.mechanism import SkellamMechanism
from covey_privacy.dp.odometer import Caps, Charge, require_room, spent
from covey_privacy.dp.skellam import Skellam

__all__ = [
    "AdaptiveClip",
    "Caps",
    "Charge",
    "Encoding",
    "Skellam",
    "SkellamMechanism",
    "Spent",
    "account",
    "calibrate",
    "calibrate_steps",
    "epsilon",
    "fit_scale",
    "noise_share",
    "require_room",
    "spent",
]

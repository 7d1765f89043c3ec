"""For researchers: ask 1,000 simulated phones for their customer group; compare the answer with the truth.

In a checkout, after `pip install -e '.[simulations]'`, run `python examples/researcher.py`. All parties of
the round are objects in this process. The protocol's own code does the work: tickets, encoding, noise, padded
messages, the signed set, and four decryptors, any two of which can open the sum.
"""

import os

import numpy as np

from covey_models import QUERIES, SEGMENTS
from covey_privacy.dp import Encoding, Skellam, epsilon, noise_share
from covey_privacy.secagg.shape import standing_shape
from covey_server.plan import Size, fit_plan
from covey_simulations.scenarios.in_process_round import Players, Setting

PHONES, HONEST = 1000, 896
EPSILON, DELTA = 1.4, 1e-6
SHARES = (0.30, 0.20, 0.15, 0.10, 0.10, 0.08, 0.05, 0.02)  # how common each group is; made up


def main() -> None:
    """Play one round of the query Q1 and print what it releases."""
    question = QUERIES["q1"]
    # A fixed seed makes the same people every time. The noise does not depend on it: it is new in every run.
    groups = np.random.default_rng(1).choice(SEGMENTS, PHONES, p=SHARES)

    # The coordinator plans noise for the budget. HONEST phones carry all of it, so that the guarantee holds
    # even if the others stay away or add none. More phones than HONEST only add noise.
    (step,) = fit_plan([Size(question.id, question.length, question.norm)], EPSILON, PHONES, DELTA).steps
    encoding = Encoding(question.length, question.norm, step.scale, step.bits, os.urandom(32))
    noise = Skellam(noise_share(step.sigma, step.scale, HONEST))

    # Each phone clips, rotates and rounds its vector, and adds its own share of the noise.
    vectors = np.zeros((PHONES, encoding.padded), np.int64)
    for phone, group in enumerate(groups):
        vector = question.contribute({"segment": str(group)})
        vectors[phone] = encoding.encode(vector) + noise.sample(encoding.padded)

    # One message a phone. The decryptors open the sum over the set that the registry signed, and no vector.
    round_ = Players(Setting(PHONES, encoding.padded, standing_shape(4)))
    opened = round_.add_up(vectors)
    total = encoding.decode(encoding.to_ring(opened.vector))
    print(f"{opened.members} phones contributed. Integrity of the sum proved: {opened.integrity_proved}.")

    # What may be published: cells below 50 people or three standard deviations of the noise are withheld.
    deviation = step.sigma * (PHONES / HONEST) ** 0.5
    released = question.release(total, deviation)
    print(f"{'group':<20}{'truth':>7}{'noisy':>9}{'released':>11}")
    for group, noisy in zip(SEGMENTS, total, strict=True):
        shown = "withheld" if released[group] is None else f"{released[group]:.0f}"
        print(f"{group:<20}{np.sum(groups == group):>7}{noisy:>9.1f}{shown:>11}")
    cost = epsilon([step.mechanism], DELTA)
    print(f"Standard deviation of the noise: {deviation:.1f} people.")
    print(f"Cost to each person: epsilon {cost:.2f} at delta {DELTA}.")


if __name__ == "__main__":
    main()

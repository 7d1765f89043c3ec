"""The protocol's rules by name. An error tells which of them was broken (`covey_privacy.errors`)."""

from __future__ import annotations

from enum import StrEnum


class Rule(StrEnum):
    """What must hold; the comment behind each name says of what."""

    ARGUMENT = "argument"  # a function is called with arguments that make sense
    STEP_ORDER = "step-order"  # a round's steps follow each other, each once
    STEP_ONCE = "step-once"  # a step that is asked for again is asked for with the same bytes
    STEP_WINDOW = "step-window"  # a step is asked for within the window that the manifest states for it
    BUDGET = "budget"  # what is asked for fits into the privacy budget

    MESSAGE_FORM = "message-form"  # a message is exactly one value of its class, within its bounds
    DOCUMENT_SIGNATURE = "document-signature"  # a document is signed by whom it is to be from
    DOCUMENT_CONTENT = "document-content"  # what a signed document holds fits together

    KEY_ENCODING = "key-encoding"  # a round or box key is canonical, on the curve and of prime order

    ISSUER_KEY = "issuer-key"  # issuer keys are RSA, distinct, and those that manifest and log name
    BLIND_SIGNATURE = "blind-signature"  # a blind signature is asked for and given under the key named
    TICKET_SIGNATURE = (
        "ticket-signature"  # a ticket is signed for the round's purposes, epoch and slot, and its role
    )
    TICKET_BATCH = "ticket-batch"  # as many tickets are answered as were asked for

    NOTE_FORM = "note-form"  # a note, checkpoint or witness request is written in the one way allowed
    CHECKPOINT_SIGNATURE = "checkpoint-signature"  # the log's own key signed its checkpoint
    COSIGNATURE = "cosignature"  # a witness's line holds its good signature
    WITNESSES = "witnesses"  # enough witnesses cosigned lately
    LOG_ORIGIN = "log-origin"  # a log keeps its name
    LOG_INCLUSION = "log-inclusion"  # what is to be in the log is in it
    LOG_CONSISTENCY = "log-consistency"  # a log begins with all that it showed before
    LOG_TILE = "log-tile"  # a tile has its path and its length
    FORK_EVIDENCE = "fork-evidence"  # evidence is two notes that one log signed

    MANIFEST_QUESTION = "manifest-question"  # a manifest asks a known question, under its purposes and norm
    MANIFEST_MODEL = "manifest-model"  # it builds on the documents at hand
    MANIFEST_FLOOR = "manifest-floor"  # it asks for no less than the phone's profile
    MANIFEST_NOISE = "manifest-noise"  # its noise costs no more than it claims
    MANIFEST_TERMS = "manifest-terms"  # its terms of secure aggregation are there and fit its other fields
    MANIFEST_ISSUER = (
        "manifest-issuer"  # it names the issuer keys of its purpose set and epoch, and a slot of them
    )
    MANIFEST_PLAN = "manifest-plan"  # it is a step of its plan, and the plan stays the same

    # Secure aggregation (covey_privacy.secagg).
    COMMITTEE_KIND = "committee-kind"  # a round has the committees that its terms name
    COMMITTEE_MEMBERS = "committee-members"  # a committee has m distinct members, with distinct box keys
    ORGANISATION_SIGNATURE = "organisation-signature"  # a pinned organisation signed its box key
    VOLUNTEER_SIGNATURE = "volunteer-signature"  # a volunteer's round key signed its box key
    LOW_ORDER_KEY = "low-order-key"  # a secret can be shared with a box key
    DRAW_NONCE = "draw-nonce"  # the nonce is the one whose hash stands in the manifest
    DRAW_ORDER = "draw-order"  # a committee holds the volunteers that the draw names
    SAMPLED = "sampled"  # a phone takes part only in a round that samples it
    ROUNDING = "rounding"  # y drops as many bits as the round's noise bears, and no more
    CONTRIBUTION_SIZE = "contribution-size"  # every contribution of a round has one size
    CONTRIBUTION_SIGNATURE = "contribution-signature"  # the round key signed the leaf
    ONE_CONTRIBUTION = "one-contribution"  # a round key and a ticket count once
    TICKET_SPENT = "ticket-spent"  # a ticket is spent once, ever
    RETRACTED = "retracted"  # a round key is retracted before a set with it is included
    SIGNED_ONCE = "signed-once"  # the registry signs one roster, draw, included and final set a round
    HEAD_SIGNATURE = "head-signature"  # the registry signed a head, for this round
    LEAVES = "leaves"  # leaves are sorted by round key, distinct, and lead to the signed root
    LEAST_COHORT = "least-cohort"  # a drawn committee that stands alone comes from enough volunteers
    LEAST_SET = "least-set"  # a set has n_h + K + 1 members at least, and the terms' most
    BOX = "box"  # a sealed share opens
    SHARE_PROOF = "share-proof"  # a share fits the dealer's proof
    DISPUTE = "dispute"  # a dispute is over what the dealer signed, allowed by the registry, once a dealer
    EXCLUSION = "exclusion"  # a member is left out for a proved fault alone
    MISSING_SHARE = "missing-share"  # a decryptor opens only with a good share of every member
    ENOUGH_SUMS = "enough-sums"  # enough decryptors open
    WRONG_SUMS = "wrong-sums"  # no more sums of shares are wrong than can be corrected
    VECTOR_LENGTH = "vector-length"  # a vector is as long as the manifest says
    VECTOR_RANGE = "vector-range"  # a vector is of integers below q / 2 in magnitude
    COMMITTEE_SHAPE = "committee-shape"  # a committee is both safe and live for its roster

    # What a person can prove of their own part (covey_privacy.certificate).
    CLAIM = "claim"  # a round key signed that its holder claims it
    LOG_ENTRY = "log-entry"  # an entry of the log is of a kind that its reader knows
    EVERY_SET = "every-set"  # absence is proved from every set that was logged since
    WITHDRAWN_KEY = "withdrawn-key"  # no set that is logged after a withdrawal holds a key of the phone's

"""The options and help of `covey certificate`, `log` and `protocol`."""

from __future__ import annotations

import argparse

from covey_privacy.command_line import JSON, KEY, CommandGroup, choice, number, path, text

LANGUAGE = choice("--language", ["en", "zh"], "of what is printed, default en", default="en")


def add_certificate(covey: CommandGroup) -> CommandGroup:
    """Add `covey certificate verify`."""
    certificate = covey.group(
        "certificate",
        "what a person can prove of their own part in rounds",
        "covey certificate verify mine.cert --site shop.site --operator $OPERATOR",
        module="covey_privacy.commands.certificate",
    )
    certificate.command(
        "verify",
        "say what a certificate proves, without the network; exits with 1 where it does not hold",
        "covey certificate verify mine.cert --site shop.site --operator $OPERATOR --json",
        LANGUAGE,
        JSON,
        add_certificate_options,
    )
    return certificate


def add_certificate_options(parser: argparse._ActionsContainer) -> None:
    """Add the file of a certificate, and whose signatures on it count."""
    path("file", "FILE", "the certificate")(parser)
    text("--operator", "HEX", "the operator's public key", required=True)(parser)
    path("--site", "SITE", "the signed site document")(parser)
    by_hand = parser.add_argument_group("instead of --site")
    text("--registry", "KEY", KEY)(by_hand)
    text("--origin", "NAME", "the log's name")(by_hand)
    text("--witness", "KEY", "name+id+key; may be repeated", action="append", default=[])(by_hand)
    text("--least", "N", "how many of them must have cosigned, default all", type=int)(by_hand)


def add_log(covey: CommandGroup) -> CommandGroup:
    """Add `covey log judge`."""
    log = covey.group(
        "log",
        "the registry's transparency log",
        "covey log judge evidence.hex --key $LOG_KEY",
        module="covey_privacy.commands.protocol",
    )
    log.command(
        "judge",
        "say what evidence shows about a registry's log; exits with 0 when consistent, 3 forked, 4 open",
        "covey log judge evidence.hex --key $LOG_KEY --json",
        path("evidence", "EVIDENCE", "file of a phone's evidence, raw or in hex"),
        text("--key", "KEY", KEY, required=True),
        JSON,
    )
    return log


def add_protocol(covey: CommandGroup) -> CommandGroup:
    """Add `covey protocol parameters`."""
    protocol = covey.group(
        "protocol",
        "the protocol of a round",
        "covey protocol parameters --issued 1000 --volunteers 900",
        module="covey_privacy.commands.protocol",
    )
    protocol.command(
        "parameters",
        "size the drawn committee of a round: its chances to fail, bytes, seconds; exits with 1 without one",
        "covey protocol parameters --issued 1000 --volunteers 900 --gamma 0.05 --lost 0.3 --length 25000",
        text("--issued", "N", "phones that were issued tickets", type=int, required=True),
        text("--volunteers", "V", "phones on the roster of volunteers", type=int, required=True),
        number("--gamma", "G", 0.05, "corrupt share of the issued phones"),
        number("--lost", "L", 0.5, "share that does not answer"),
        number("--length", "L", 1024, "entries"),
        JSON,
        run="size_committee",
    )
    return protocol

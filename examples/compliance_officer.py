"""For compliance officers: take decisions, look one person up, and check the evidence without the registry.

In a checkout, after `pip install -e '.[server]'`, run `python examples/compliance_officer.py`. It starts a
registry in a temporary folder, and stops it before anything is verified.
"""

import csv
import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

PEOPLE, GROUP = 30, 50
COVEY = [sys.executable, "-m", "covey", "registry"]


def run(*arguments: str, folder: Path) -> str:
    """Run a command where the registry's key file and database are, and return what it prints."""
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def take_decisions(url: str, token: str) -> str:
    """Let people decide through the shop's server; return the pseudonym of the first of them.

    The log gets decisions in shuffled groups of 50 or more, or after an hour, so that nobody can tell from it
    who decided when. The oldest go first: the first person's two are in the first group.
    """
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as shop:
        notice = shop.get("/v1/notices/personalize").raise_for_status().json()
        yes = {
            "purpose": "personalize", "state": "granted", "method": "toggle", "language": "en",
            "notice_version": int(notice["version"].partition(".")[0]), "text_sha256": notice["digest"],
        }  # fmt: skip
        no = {"purpose": "personalize", "state": "withdrawn"}
        wanted, deadline = logged(shop) + GROUP, time.monotonic() + 60
        people = [shop.post("/v1/subjects", json={}).json()["subject"] for _ in range(PEOPLE)]
        for person in people:
            for said in (yes, no):
                shop.post(f"/v1/subjects/{person}/consents", json=said).raise_for_status()
        while logged(shop) < wanted:
            if time.monotonic() > deadline:
                raise SystemExit("the registry logged no group of decisions within a minute")
            time.sleep(0.1)
    return people[0]


def logged(shop: httpx.Client) -> int:
    """Return how many entries the registry's log has: the second line of its signed checkpoint."""
    return int(shop.get("/v1/log/checkpoint").raise_for_status().text.splitlines()[1])


def main() -> None:
    """Run a registry, act as its officer, then verify what it handed out."""
    with tempfile.TemporaryDirectory() as temporary, (Path(temporary) / "registry.log").open("w") as log:
        folder = Path(temporary)
        serve = [*COVEY, "serve", "--port", "0"]
        server = subprocess.Popen(serve, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            url = server.stdout.readline().split()[-1]  # "The registry answers at http://127.0.0.1:..."
            token = run(*COVEY, "token", "--role", "service", "--name", "shop", folder=folder).split()[-1]
            person = take_decisions(url, token)
            # An officer gives a name and a reason; both are in the access log before the answer is given.
            who = ["--officer", "olga", "--reason", "request 17", "--url", url]
            history = run(*COVEY, "history", person, *who, "--csv", folder=folder)
            for row in csv.DictReader(io.StringIO(history)):
                print("History:", row["at"], row["purpose"], row["state"], "by", row["actor"])
            run(*COVEY, "pack", "--out", "pack.zip", "--subject", person, folder=folder)
            key = run(*COVEY, "key", folder=folder)
        finally:
            server.terminate()
            server.wait()

        # From here on an auditor needs the pack, the registry's public key, Python and `cryptography` alone.
        run(sys.executable, "-m", "zipfile", "-e", "pack.zip", "unpacked", folder=folder)
        verify = [sys.executable, "-I", "unpacked/verify.py"]
        print(run(*verify, "pack.zip", "--key", key, folder=folder))
        pack = bytearray((folder / "pack.zip").read_bytes())
        pack[len(pack) // 2] ^= 1
        (folder / "changed.zip").write_bytes(pack)
        changed = [*verify, "changed.zip", "--key", key]
        refused = subprocess.run(changed, cwd=folder, capture_output=True, text=True, check=False)
        print("A pack with one bit changed:", refused.stdout.strip())


if __name__ == "__main__":
    main()

import subprocess
import sys

HEAVY = (
    "flwr",
    "torch",
    "scipy",
    "pydantic",
    "pandas",
    "grpc",
    "sqlalchemy",
    "fastapi",
    "gmpy2",
    "nacl",
    "dp_accounting",
)
CODE = f"""
import sys
import covey_sdk
covey_sdk.events.parse
print([name for name in {HEAVY!r} if name in sys.modules])
print(sorted({{name.partition('.')[0] for name in sys.modules if name.startswith('covey_')}}))
"""


def test_the_phone_loads_its_own_dependencies_alone():
    loaded = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    heavy, ours = loaded.stdout.splitlines()
    assert heavy == "[]"
    assert set(eval(ours)) <= {"covey_sdk", "covey_models", "covey_privacy"}  # noqa: S307  # our own output

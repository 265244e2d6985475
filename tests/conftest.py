"""Shared by all tests: where the built programs are."""
import os
import pathlib
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("MLXCC_BUILD", ROOT / "build")).resolve()


@pytest.fixture(scope="session")
def build():
    return BUILD


@pytest.fixture(scope="session")
def mlxcc():
    return str(BUILD / "mlxcc")


@pytest.fixture(scope="session")
def irtool():
    return str(BUILD / "irtool")

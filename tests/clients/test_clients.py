"""Three clients of diffsync, each with its own code: what they do under diffsync they do under our vocabulary.

`make clients` installs them into environments of their own; see `samples/survey.py` for what is looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("CLIENTS" not in os.environ, reason="`make clients` makes the environments that these need"),
]
# What keeps a module from being imported under diffsync, too.
NOT_IMPORTED = {
    "nautobot_ssot.integrations.bootstrap.diffsync.adapters.nautobot": "needs Nautobot's app for life cycles",
    "nautobot_ssot.tests.citrix_adm.test_adapters_citrix_adm": "reads a file that the package lacks",
    "nautobot_ssot.tests.device42.unit.test_device42_adapter": "reads a file that the package lacks",
    "nautobot_ssot.tests.librenms.test_librenms_model": "reads a file that the package lacks",
    "nautobot_ssot.tests.solarwinds.test_solarwinds_adapter": "reads a file that the package lacks",
}


def survey(implementation, *packages, old=False):
    """Return what `survey.py` finds in an environment of the clients."""
    python = Path(os.environ["CLIENTS_OLD" if old else "CLIENTS"]) / "bin" / "python"
    ran = subprocess.run(
        [python, "-W", "ignore", FOLDER / "samples" / "survey.py", implementation, *packages],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
        cwd=FOLDER,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def merged(one, other):
    """Return two surveys as one."""
    return {part: one[part] | other[part] for part in one}


@pytest.fixture(scope="module")
def theirs():
    """What is found under diffsync: 2.2.3, and 1.10 for the client that was written for it."""
    return merged(survey("theirs", "infrahub_sync", "nautobot_ssot"), survey("theirs", "network_importer", old=True))


@pytest.fixture(scope="module")
def ours():
    """What is found under our vocabulary."""
    return merged(survey("ours", "infrahub_sync", "nautobot_ssot"), survey("ours-old", "network_importer"))


@pytest.mark.parametrize("side", ["theirs", "ours"])
def test_every_module_that_imports_diffsync_is_imported(side, request):
    modules = request.getfixturevalue(side)["modules"]
    assert {name: error for name, error in modules.items() if error and name not in NOT_IMPORTED} == {}
    assert len(NOT_IMPORTED) <= len(modules) // 20


def test_each_model_answers_the_same(theirs, ours):
    assert len(theirs["models"]) > 400
    assert set(ours["models"]) == set(theirs["models"])
    for name, told in theirs["models"].items():
        if name.startswith("network_importer"):  # diffsync 1 has other fields of its own
            for answer in ("dict", "dump", "fields"):
                told.pop(answer, None)
                ours["models"][name].pop(answer)
    assert {name: ours["models"][name] for name, told in theirs["models"].items() if ours["models"][name] != told} == {}


@pytest.mark.parametrize("pair", ["itential", "netbox", "potenda", "servicenow"])
def test_a_pair_of_adapters_says_calls_and_holds_the_same(pair, theirs, ours):
    assert not isinstance(theirs["syncs"][pair], str)
    assert ours["syncs"][pair] == theirs["syncs"][pair]

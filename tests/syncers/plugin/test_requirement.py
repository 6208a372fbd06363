"""Requirements are compared with what is installed, as pip would."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from datastoresync.syncers.plugin.manifest import _COMPARISONS, _release, unmet


@pytest.fixture(params=["with packaging", "without it"])
def packaging(request, monkeypatch):
    if request.param == "without it":
        monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    return request.param == "with packaging"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Write the metadata of a package as an installer would."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, version, *lines):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        (folder / "METADATA").write_text("\n".join([*head, *lines, ""]))

    return write


numbers = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


@given(installed=numbers, bound=numbers, sign=st.sampled_from(sorted(_COMPARISONS)))
def test_plain_versions_compare_as_packaging_compares_them(installed, bound, sign):
    expected = SpecifierSet(f"{sign}{bound}").contains(Version(installed))
    assert _COMPARISONS[sign](_release(installed), _release(bound)) == expected


@pytest.mark.parametrize(
    "requirement",
    ["made", "Made", "made==1.10", "made == 1.10.0", "made>=1.9", "made>=1.2, <2", "made!=1.11,>1,<=1.10", "made >1.9"],
)
def test_what_is_installed_is_enough(installed, packaging, requirement):
    installed("made", "1.10")
    assert unmet(requirement) == ""


@pytest.mark.parametrize(
    "requirement", ["made>=1.11", "made<1.10", "made>=1,<1.9", "made==1.1", "made!=1.10.0", "made>1.10"]
)
def test_what_is_installed_is_too_old_or_too_new(installed, packaging, requirement):
    installed("made", "1.10")
    reason = unmet(requirement)
    assert reason.endswith(": it is 1.10 that is installed")
    assert reason.startswith("made")


def test_what_is_not_installed_is_said(packaging):
    assert unmet("surely-not-installed>=9") == "surely-not-installed>=9: it is not installed"


@pytest.mark.parametrize(
    "requirement",
    ["", "==1", "../x", "-r x", "a b", "made>=", "made>=1 2", "made>=1;;", "made=>1", "made[", "x @ https://y"],
)
def test_what_cannot_be_read_is_never_guessed(packaging, requirement):
    with pytest.raises(ValueError):
        unmet(requirement)


@pytest.mark.parametrize(
    "requirement", ["made[x]", "made; python_version > '3'", "made~=1.0", "made==1.*", "made>=1.0rc1"]
)
def test_without_packaging_the_rest_is_refused_not_misread(installed, monkeypatch, requirement):
    installed("made", "1.10", "Provides-Extra: x")
    assert unmet(requirement) == ""
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    with pytest.raises(ValueError, match="pip install packaging"):
        unmet(requirement)


def test_versions_that_are_not_plain_need_packaging(installed, monkeypatch):
    installed("made", "1.10rc1")
    assert unmet("made>=1.9") == ""
    assert unmet("made>=1.10") == "made>=1.10: it is 1.10rc1 that is installed"
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert unmet("made") == ""
    with pytest.raises(ValueError, match=r"1\.10rc1 that is installed, which only packaging can compare"):
        unmet("made>=1.9")


def test_a_version_that_is_none_is_said(installed):
    installed("made", "yesterday")
    assert unmet("made>=1").endswith("calls itself 'yesterday', which is no version")


def test_markers_say_where_a_requirement_is_meant():
    assert unmet("surely-not-installed; python_version < '3'") == ""
    assert unmet("surely-not-installed; python_version > '3'").endswith("it is not installed")


def test_the_requirements_of_an_extra_must_be_met_too(installed):
    installed(
        "made",
        "1.0",
        "Provides-Extra: fast",
        "Provides-Extra: all_of_it",
        "Provides-Extra: here",
        "Requires-Dist: surely-not-installed",
        'Requires-Dist: surely-not-there>=2; extra == "fast"',
        'Requires-Dist: attrs; extra == "here"',
        "Provides-Extra: itself",
        'Requires-Dist: made[itself]; extra == "itself"',
        'Requires-Dist: made[fast]; extra == "all-of-it"',
        'Requires-Dist: made[all_of_it]; extra == "all-of-it"',
    )
    assert unmet("made") == unmet("made[here]") == unmet("made[itself]") == ""
    assert unmet("made[fast]") == "made[fast] needs surely-not-there>=2: it is not installed"
    assert unmet("made[All.of-it]").endswith("needs made[fast] needs surely-not-there>=2: it is not installed")
    assert unmet("made[gone]") == "made[gone]: made 1.0 has no extra 'gone'"

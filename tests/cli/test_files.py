"""Which files an argument means, and results that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sim.cli.failures import UsageProblem
from k8sim.cli.files import check_writable, scenario_files, write_whole

SCENARIO = "apiVersion: k8sim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: a}\n"
MANIFEST = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.yaml").write_text(SCENARIO)
    (tmp_path / "a.yml").write_text(MANIFEST + "---\n" + SCENARIO)
    (tmp_path / "manifest.yaml").write_text(MANIFEST)
    (tmp_path / "notes.txt").write_text(SCENARIO)
    return tmp_path


def test_of_a_folder_the_scenarios_in_it(folder: Path) -> None:
    assert [p.name for p in scenario_files([str(folder)])] == ["a.yml", "b.yaml"]


def test_of_a_pattern_the_scenarios_that_match(folder: Path) -> None:
    assert [p.name for p in scenario_files([str(folder / "*.yaml")])] == ["b.yaml"]


def test_each_once_in_the_order_given(folder: Path) -> None:
    names = [p.name for p in scenario_files([str(folder / "b.yaml"), str(folder)])]
    assert names == ["b.yaml", "a.yml"]


def test_a_named_file_counts_whatever_is_in_it(folder: Path) -> None:
    assert scenario_files([str(folder / "manifest.yaml")]) == [folder / "manifest.yaml"]


@pytest.mark.parametrize("argument", ["empty", "empty/*.yaml"])
def test_nothing_found_is_an_error(tmp_path: Path, argument: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageProblem, match="no scenario file"):
        scenario_files([str(tmp_path / argument)])


def test_a_file_is_replaced_in_one_go(tmp_path: Path) -> None:
    target = tmp_path / "trace.json"
    target.write_text("old")
    write_whole(target, b"new")
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["trace.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_whole(tmp_path / "link.json", b"new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    write_whole(tmp_path / "whole", b"")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_folders_are_made_with_the_first_file(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "trace.json", folder=False)
    assert not (tmp_path / "a").exists()
    write_whole(tmp_path / "a" / "b" / "trace.json", b"[]")
    assert (tmp_path / "a" / "b" / "trace.json").read_text() == "[]"


def test_what_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageProblem, match="is a file"):
        check_writable(tmp_path / "file", folder=True)
    with pytest.raises(UsageProblem, match="is a folder"):
        check_writable(tmp_path, folder=False)
    with pytest.raises(UsageProblem, match="file is a file"):
        check_writable(tmp_path / "file" / "deep" / "trace.json", folder=False)

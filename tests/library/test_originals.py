"""Files of many captions come back as they were before a run, also where the run was killed as it wrote them again."""

from __future__ import annotations

from pathlib import Path

import pytest

from interrogator.dataset.state.originals import Originals


class Table:
    """A file of many captions, and the run that writes it."""

    def __init__(self, folder: Path, before: str | None) -> None:
        self.file = folder / "captions.parquet"
        if before is not None:
            self.file.write_text(before)
        self.originals = Originals(folder / "run")
        self.times = 0

    def write(self, seals: bool = True) -> None:
        """Write what a run writes in the end. seals: not if it is killed after that."""
        self.times += 1
        self.originals.keep([self.file])
        self.replace(f"captions, {self.times} times")
        if seals:
            self.originals.seal([self.file])

    def replace(self, text: str) -> None:
        """Put a new file in its place, as targets do: what is kept may be a link to the old one."""
        aside = self.file.with_suffix(".aside")
        aside.write_text(text)
        aside.replace(self.file)

    def put_back(self) -> bool:
        return self.originals.put_back([self.file])

    @property
    def text(self) -> str | None:
        return self.file.read_text() if self.file.exists() else None


@pytest.fixture(params=[None, "somebody's"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    return Table(tmp_path, request.param)


def test_a_run_killed_before_it_notes_what_it_wrote_again_can_be_undone(table: Table) -> None:
    before = table.text
    table.write()
    for _ in range(2):
        table.write(seals=False)
    table.write()
    assert table.put_back()
    assert table.text == before


def test_a_run_killed_as_it_wrote_the_first_time_can_be_undone_once_it_is_finished(table: Table) -> None:
    before = table.text
    table.write(seals=False)
    table.write()
    assert table.put_back()
    assert table.text == before


def test_what_somebody_changed_between_two_writings_is_not_put_back(table: Table) -> None:
    table.write()
    table.replace("edited by hand")
    table.write()
    assert not table.put_back()
    assert table.text == "captions, 2 times"


def test_a_run_that_wrote_nothing_again_is_put_back_as_far_as_it_went(table: Table) -> None:
    before = table.text
    table.write()
    table.originals.keep([table.file])  # and is killed
    assert table.put_back()
    assert table.text == before

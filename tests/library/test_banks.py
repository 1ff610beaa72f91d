"""Phrase banks: loading, merging, filtering, and the rules of the built-in lists."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interrogator import BankError, PhraseBank, load_banks
from interrogator.banks import bank_names, check_bank_file, check_built_in_banks, load_block_list

REFERENCE_FILES = {
    "artists.txt": "Claude Monet\nGreg Rutkowski\n",
    "flavors.txt": "8k\n\n#vfxfriday\n8K\nmood, light\n4 k ( wallpaper )\n",
    "mediums.txt": "a painting\n",
    "movements.txt": "impressionism\n",
    "negative.txt": "blurry\nugly",
}


def write_list(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_built_in_lists_keep_all_rules() -> None:
    assert [str(problem) for problem in check_built_in_banks()] == []


def test_the_built_in_banks_are_as_large_as_promised() -> None:
    sizes: dict[str, int] = {}
    for bank in load_banks():
        sizes[bank.role] = sizes.get(bank.role, 0) + len(bank)
    assert sizes["artists"] >= 1000
    assert sizes["mediums"] >= 150
    assert sizes["movements"] >= 250
    assert sizes["negative"] >= 100
    assert sizes["flavors"] >= 4000
    assert sizes["sites"] > 0


def test_a_list_is_read_with_comments_hashtags_and_tidy_spaces(tmp_path: Path) -> None:
    path = write_list(tmp_path, "mine.txt", "# purpose\n#\n  soft   light \n\n#nofilter\nSoft Light\n")
    bank = PhraseBank.from_file(path)
    assert (bank.name, bank.phrases, bank.role) == ("mine", ("soft light", "#nofilter"), "flavors")


def test_a_list_with_a_byte_order_mark_starts_with_its_first_phrase(tmp_path: Path) -> None:
    path = tmp_path / "bom.txt"
    path.write_bytes("\ufeffcafé\n".encode())
    assert PhraseBank.from_file(path).phrases == ("café",)


@pytest.mark.parametrize("content", [b"caf\xe9\n", b"", b"# only a comment\n"])
def test_a_broken_list_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(BankError, match="broken.txt"):
        PhraseBank.from_file(path)


def test_an_artists_table_becomes_by_phrases(tmp_path: Path) -> None:
    table = "# artists\nname,born,died,movements\nClaude Monet,1840,1926,Impressionism\nAn Unknown,,,\n"
    bank = PhraseBank.from_file(write_list(tmp_path, "artists.csv", table))
    assert bank.phrases == ("by Claude Monet", "by An Unknown")


def test_a_year_that_is_no_number_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = write_list(tmp_path, "artists.csv", "name,born,died,movements\nA,1900,soon,\n")
    with pytest.raises(BankError, match=r"artists\.csv:2: 'soon'"):
        PhraseBank.from_file(path)


def test_long_dead_artists_are_those_whose_term_has_run_out_and_unknown_years_count_as_living(tmp_path: Path) -> None:
    this_year = datetime.date.today().year
    table = (
        "name,born,died,movements\n"
        f"Long Dead,1800,{this_year - 71},\n"
        f"Not Yet,1880,{this_year - 70},\n"
        "Living,1950,,\n"
        "Unknown,,,\n"
    )
    path = write_list(tmp_path, "artists.csv", table)
    assert load_banks([path], artists="long_dead")[0].phrases == ("by Long Dead",)
    assert len(load_banks([path])[0]) == 4


def test_artists_can_be_left_out() -> None:
    assert "artists" not in {bank.name for bank in load_banks(artists="none")}


def test_the_reference_librarys_folder_loads_as_it_is(tmp_path: Path) -> None:
    for name, text in REFERENCE_FILES.items():
        write_list(tmp_path, name, text)
    banks = {bank.name: bank for bank in load_banks([tmp_path])}
    assert banks["artists"].phrases == (
        "by Claude Monet", "by Greg Rutkowski", "inspired by Claude Monet", "inspired by Greg Rutkowski",
    )  # fmt: skip
    assert banks["flavors"].phrases == ("8k", "#vfxfriday", "mood, light", "4 k ( wallpaper )")
    assert [bank.name for bank in load_banks([tmp_path])][-1] == "negative"


def test_flavors_names_all_flavor_banks_and_banks_of_one_name_are_merged(tmp_path: Path) -> None:
    lighting = write_list(tmp_path, "lighting.txt", "light of my own lamp\n")
    names = {bank.name for bank in load_banks(["flavors"])}
    assert "lighting" in names and "mediums" not in names
    merged = {bank.name: bank for bank in load_banks(["flavors", lighting])}["lighting"]
    assert merged.phrases[-1] == "light of my own lamp" and len(merged) > 100


def test_banks_are_switched_off_by_name_and_by_role() -> None:
    assert {bank.role for bank in load_banks(without=["flavors", "negative"])} == {
        "artists", "mediums", "movements", "sites",
    }  # fmt: skip
    assert "lighting" not in {bank.name for bank in load_banks(without=["lighting"])}


@pytest.mark.parametrize("call", [lambda: load_banks(["mediumz"]), lambda: load_banks(without=["mediumz"])])
def test_an_unknown_name_is_an_error_that_offers_the_nearest(call: object) -> None:
    with pytest.raises(BankError, match="mediums"):
        call()  # type: ignore[operator]


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BankError, match="no such phrase list"):
        load_banks([tmp_path / "absent.txt"])


def test_the_block_list_removes_phrases_that_hold_its_words() -> None:
    bank = PhraseBank.from_phrases("b", ["by Greg Rutkowski", "art by greg rutkowski", "gregarious", "soft light"])
    assert bank.without(["Greg Rutkowski", "soft"]).phrases == ("gregarious",)


def test_a_block_list_file_has_comments(tmp_path: Path) -> None:
    assert load_block_list(write_list(tmp_path, "block.txt", "# why\n\nfoo bar\n")) == ["foo bar"]


def test_a_quota_goes_by_name_before_role() -> None:
    banks = {bank.name: bank for bank in load_banks(quota={"lighting": 1, "flavors": 4})}
    assert banks["lighting"].quota == 1
    assert banks["mood"].quota == 4
    assert banks["mediums"].quota is None


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(BankError, match="no phrases left"):
        load_banks(["mediums"], without=["mediums"])


def test_every_bank_name_loads() -> None:
    for name in bank_names():
        assert load_banks([name])


@given(st.lists(st.text(max_size=8)))
def test_a_bank_keeps_order_and_drops_repeats_and_empty_phrases(phrases: list[str]) -> None:
    bank = PhraseBank.from_phrases("b", phrases)
    folded = [phrase.casefold() for phrase in bank.phrases]
    assert len(set(folded)) == len(folded)
    tidy = [" ".join(phrase.split()) for phrase in phrases]
    assert list(bank.phrases) == [
        p for i, p in enumerate(tidy) if p and p.casefold() not in map(str.casefold, tidy[:i])
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("soft (light)", "weights, wildcards or separators"),
        ("a b c d e f g h i j k l m", "more than 12 words"),
        ("by Claude Monet", "person's name"),
    ],
)
def test_check_names_the_rule_that_a_phrase_breaks(tmp_path: Path, line: str, complaint: str) -> None:
    path = write_list(tmp_path, "mine.txt", f"# purpose\n{line}\n")
    problems = check_bank_file(path, artists=["Claude Monet"])
    assert [problem.line for problem in problems] == [2]
    assert complaint in problems[0].text


def test_check_finds_repeats_missing_purpose_and_machine_made_lists(tmp_path: Path) -> None:
    lines = [f"glowing {i}" for i in range(26)] + ["Glowing 3"]
    problems = check_bank_file(write_list(tmp_path, "mine.txt", "\n".join(lines)))
    texts = " / ".join(problem.text for problem in problems)
    assert "begin with 'glowing'" in texts
    assert "stands in line 4 already" in texts
    assert "purpose" in texts

"""Phrase banks: loading, merging, filtering, and the rules of the built-in lists."""

from __future__ import annotations

import datetime
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interrogator import BankError, PhraseBank, load_banks
from interrogator.banks import bank_names, check_bank_file, check_built_in_banks, load_block_list, saved_lists
from interrogator.banks.bank import composed
from interrogator.phrases import Joined, Phrases, Repeated

from .waiting import LAST_RESORT

ROOT = Path(__file__).parents[2]

REFERENCE_FILES = {
    "artists.txt": "Claude Monet\nGreg Rutkowski\n",
    "flavors.txt": "8k\n\n#vfxfriday\n8K\nmood, light\n4 k ( wallpaper )\n",
    "mediums.txt": "a painting\n",
    "movements.txt": "impressionism\n",
    "negative.txt": "blurry\nugly",
}


@pytest.fixture(autouse=True)
def lists_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own, where lists are saved however young they are."""
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(saved_lists, "SETTLED_SECONDS", 0.0)
    return tmp_path / "home" / "lists"


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


def test_a_csv_goes_by_its_header(tmp_path: Path) -> None:
    tags = "tag_id,name,category,count\n1,long_hair,0,9\n2,o_o,0,9\n3,(o)_(o),0,9\n4,miku_(x),4,9\n"
    bank = PhraseBank.from_file(write_list(tmp_path, "selected_tags.csv", tags))
    assert bank.phrases == ("long hair", "o_o", "(o)_(o)", "miku (x)")
    table = 'id,phrase\n1,"soft, light"\n2,"two\nlines"\n'
    assert PhraseBank.from_file(write_list(tmp_path, "mine.csv", table)).phrases == ("soft, light", "two lines")
    with pytest.raises(BankError, match="its columns name,prompt,negative_prompt are none of a phrase list"):
        PhraseBank.from_file(write_list(tmp_path, "styles.csv", "name,prompt,negative_prompt\nA,b,c\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,born,died,movements\nA,,,x,y,z\n", r":2: the row has 6 fields for 4 columns"),
        ("born,name\n1900\n", ":2: the row has no name"),
        ("# none\n", "are none of a phrase list"),
    ],
)
def test_a_table_that_is_not_whole_is_refused_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BankError, match=message):
        PhraseBank.from_file(write_list(tmp_path, "artists.csv", text))


def test_a_field_of_a_table_may_have_any_length(tmp_path: Path) -> None:
    table = f"name,born,died,movements\nA,,,\n{'x' * 140_000},,,\n"
    assert [len(phrase) for phrase in load_banks([write_list(tmp_path, "artists.csv", table)])[0].phrases] == [
        4,
        140_003,
    ]


def test_json_lists_of_strings_are_read_and_others_refused(tmp_path: Path) -> None:
    assert PhraseBank.from_file(write_list(tmp_path, "a.json", '["soft  light", "", "Fog"]')).phrases == (
        "soft light", "Fog",
    )  # fmt: skip
    for text in ('{"a": 1}', '["a", 1]', "[", "[" * 100_000):
        with pytest.raises(BankError, match="list of strings"):
            PhraseBank.from_file(write_list(tmp_path, "b.json", text))


def test_utf_16_is_said_by_name(tmp_path: Path) -> None:
    for number, encoding in enumerate(("utf-16", "utf-16-le")):
        path = tmp_path / f"{number}.txt"
        path.write_bytes("fog\n".encode(encoding))
        with pytest.raises(BankError, match="UTF-16"):
            PhraseBank.from_file(path)


def test_one_phrase_in_two_unicode_forms_is_one(tmp_path: Path) -> None:
    path = write_list(tmp_path, "a.txt", "cafe\u0301\ncaf\u00e9\n")
    assert PhraseBank.from_file(path).phrases == ("caf\u00e9",)
    assert not PhraseBank.from_file(path).without(["CAFE\u0301"]).phrases


def test_dot_files_are_passed_over(tmp_path: Path) -> None:
    write_list(tmp_path, "mine.txt", "fog\n")
    (tmp_path / "._mine.txt").write_bytes(b"\0\1\2\xff")
    assert [bank.name for bank in load_banks([tmp_path])] == ["mine"]


def test_long_lines_and_long_block_lists_take_no_longer_than_they_must(tmp_path: Path) -> None:
    line = " ".join(f"word{number}" for number in range(20_000))
    path = write_list(tmp_path, "long.txt", f"# one line\n{line} claude monet\n")
    assert any("person's name" in problem.text for problem in check_bank_file(path, ["Claude Monet"]))
    bank = PhraseBank.from_phrases("x", [f"phrase {number} of many" for number in range(20_000)])
    entries = [f"Phrase {number}" for number in range(0, 20_000, 2)] * 3
    assert bank.without(entries).phrases == tuple(f"phrase {number} of many" for number in range(1, 20_000, 2))


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
@example(["\ufa00", "\u5207"])  # one character in form NFC
@example(["e\u0301", "\u00e9", "E\u0301"])
def test_a_bank_keeps_order_and_drops_repeats_and_empty_phrases(phrases: list[str]) -> None:
    bank = PhraseBank.from_phrases("b", phrases)
    folded = [phrase.casefold() for phrase in bank.phrases]
    assert len(set(folded)) == len(folded)
    tidy = [composed(" ".join(phrase.split())) for phrase in phrases]
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
    assert "duplicates line 4" in texts
    assert "purpose" in texts


def large_list(folder: Path, word: str = "phrase") -> Path:
    return write_list(folder, "large.txt", "# large\n" + "".join(f"{word} number {i} café\n" for i in range(6000)))


def no_reading(path: Path) -> str:
    raise AssertionError(f"{path} was read")


def test_a_large_list_is_read_once(tmp_path: Path, lists_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = large_list(tmp_path)
    first = PhraseBank.from_file(path)
    monkeypatch.setattr("interrogator.banks.formats.read_text", no_reading)
    again = PhraseBank.from_file(path)
    assert again.phrases == first.phrases and len(again) == 6000 and again.phrases[-1] == "phrase number 5999 café"
    assert again.digest == first.digest == PhraseBank.from_phrases("x", list(first.phrases)).digest
    assert len(list(lists_folder.iterdir())) == 1


def test_a_small_list_is_not_saved(tmp_path: Path, lists_folder: Path) -> None:
    PhraseBank.from_file(write_list(tmp_path, "small.txt", "soft light\n"))
    assert not lists_folder.exists()


def test_an_edited_list_is_read_again_even_with_its_old_size_and_time(tmp_path: Path) -> None:
    path = large_list(tmp_path)
    before = PhraseBank.from_file(path)
    old = path.stat()
    large_list(tmp_path, "phrasf")
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert path.stat().st_size == old.st_size and path.stat().st_mtime_ns == old.st_mtime_ns
    after = PhraseBank.from_file(path)
    assert after.phrases[0] == "phrasf number 0 café" and after.digest != before.digest
    assert before.phrases[0] == "phrase number 0 café", "what was mapped stays as it was"


def test_a_list_written_this_moment_is_not_saved(tmp_path: Path, lists_folder: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    # Another version within the same tick of the file system's clock would look the same.
    monkeypatch.setattr(saved_lists, "SETTLED_SECONDS", float("inf"))
    PhraseBank.from_file(large_list(tmp_path))
    assert not lists_folder.exists()


def spoil(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "damage",
    [
        spoil(lambda data: b""),
        spoil(lambda data: data[:100]),
        spoil(lambda data: data[:-1]),
        spoil(lambda data: data + b"x"),
        spoil(lambda data: data[:-9] + b"X" + data[-8:]),
        spoil(lambda data: data[:200] + bytes(8) + data[208:]),
        spoil(lambda data: b"[" * len(data)),
        spoil(lambda data: bytes(len(data))),
        spoil(lambda data: data.replace(b'"count": 6000', b'"count": -600', 1)),
        spoil(lambda data: data.replace(b'"digest"', b'"digesd"', 1)),
        spoil(lambda data: data[:50_000] + data[50_008:50_016] + data[50_000:50_008] + data[50_016:]),
    ],
)
def test_a_damaged_saved_list_is_made_again(
    tmp_path: Path, lists_folder: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object]
) -> None:
    path = large_list(tmp_path)
    before = PhraseBank.from_file(path).phrases
    saved_list = next(lists_folder.iterdir())
    good = saved_list.read_bytes()
    saved_list.unlink()  # `before` keeps its map
    saved_list.write_bytes(good)
    damage(saved_list)
    assert PhraseBank.from_file(path).phrases == before
    assert saved_list.read_bytes() == good
    monkeypatch.setattr("interrogator.banks.formats.read_text", no_reading)
    assert PhraseBank.from_file(path).phrases == before


def test_a_saved_list_is_not_taken_for_another(tmp_path: Path, lists_folder: Path) -> None:
    first, second = large_list(tmp_path), tmp_path / "second.txt"
    second.write_bytes(first.read_bytes().replace(b"1", b"7"))
    before = [PhraseBank.from_file(path).phrases[:] for path in (first, second)]
    one, other = lists_folder.iterdir()
    one.write_bytes(other.read_bytes())
    assert [PhraseBank.from_file(path).phrases for path in (first, second)] == before


def test_saved_lists_do_not_pile_up(tmp_path: Path, lists_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_lists, "KEPT_LISTS", 3)
    for number in range(6):
        PhraseBank.from_file(large_list(tmp_path, f"phrase{number}"))
    assert len(list(lists_folder.iterdir())) == 3


def test_a_home_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                   caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    write_list(tmp_path, "home-file", "in the way")
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home-file"))
    caplog.set_level("INFO", "interrogator")
    assert len(PhraseBank.from_file(large_list(tmp_path))) == 6000
    assert caplog.records == []


READ_LARGE = """
import os, sys
from interrogator import PhraseBank
from interrogator.banks import saved_lists
"".encode("utf-8-sig")  # imports the codec, while this user may
if os.geteuid() == 0 and sys.argv[2] == "nobody":
    os.setgid(65534)
    os.setuid(65534)
saved_lists.SETTLED_SECONDS = 0
bank = PhraseBank.from_file(sys.argv[1])
assert len(bank) == 6000 and bank.phrases[7] == "phrase number 7 café"
print(bank.digest)
"""


def start_reading(path: Path, home: Path, user: str = "me") -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "INTERROGATOR_HOME": str(home), "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", READ_LARGE, str(path), user]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_that_read_a_list_at_once_save_it_whole(tmp_path: Path, lists_folder: Path) -> None:
    path = large_list(tmp_path)
    for _ in range(2):
        both = [start_reading(path, tmp_path / "home") for _ in range(2)]
        answers = [process.communicate(timeout=LAST_RESORT) for process in both]
        assert [process.returncode for process in both] == [0, 0], answers
        assert answers[0][0] == answers[1][0]
    assert [file.suffix for file in lists_folder.iterdir()] == [".phrases"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_read_only_home_is_read(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        home = Path(place, "home")
        home.mkdir()
        path = large_list(Path(place))
        os.chmod(place, 0o755)
        os.chmod(home, 0o555)
        for user in ("nobody", "me", "nobody"):  # nothing saved yet, saved by somebody who may, read by one who may not
            process = start_reading(path, home, user)
            out, err = process.communicate(timeout=LAST_RESORT)
            assert process.returncode == 0 and len(out.strip()) == 32 and not err, err


@given(st.lists(st.text(max_size=6) | st.just("\ud800")), st.integers(-9, 9), st.slices(8))
def test_phrases_are_a_sequence_of_the_same_texts(texts: list[str], place: int, part: slice) -> None:
    phrases = Phrases.of(texts)
    assert phrases == texts and phrases == tuple(texts) and list(phrases) == texts and len(phrases) == len(texts)
    assert phrases == Phrases.of(texts) and hash(phrases) == hash(tuple(texts))
    assert phrases != [*texts, ""] and phrases != ["x" + text for text in texts] or not texts
    assert phrases[part] == tuple(texts[part])
    assert pickle.loads(pickle.dumps(phrases)) == phrases
    two = Joined([phrases, Repeated("end", 2)])
    assert list(two) == [*texts, "end", "end"] == [two[number] for number in range(len(two))]
    assert two[part] == [*texts, "end", "end"][part] and two[-1] == "end"
    if -len(texts) <= place < len(texts):
        assert phrases[place] == texts[place]
    else:
        with pytest.raises(IndexError):
            phrases[place]


def test_a_digest_tells_lists_apart_that_read_alike() -> None:
    lists = [[], [""], ["", ""], ["ab"], ["a", "b"], ["b", "a"], ["a", "b", ""]]
    assert len({Phrases.of(texts).digest for texts in lists}) == len(lists)

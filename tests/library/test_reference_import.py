"""Taking over the cache files of clip-interrogator."""

from __future__ import annotations

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from interrogator.embeddings import (
    PROBE_PHRASES,
    EmbeddingCache,
    EncoderIdentity,
    ImportReport,
    import_reference_table,
)
from interrogator.errors import CacheError

WIDTH, CONTEXT = 64, 24
SITES = ("Artstation,behance,cg society,cgsociety,deviantart,dribbble,flickr,instagram,pexels,pinterest,pixabay,pixiv,"
         "polycount,reddit,shutterstock,tumblr,unsplash,zbrush central").split(",")  # fmt: skip


def tiny_encoder(quick=False, half=False, seed=0):
    """A random text tower of open_clip's make, with either activation; phrases are tokenised by their bytes."""
    transformer = pytest.importorskip("open_clip.transformer")
    torch.manual_seed(seed)
    activation = {"act_layer": transformer.QuickGELU} if quick else {}
    tower = transformer.TextTransformer(
        context_length=CONTEXT, vocab_size=258, width=WIDTH, heads=4, layers=3, output_dim=WIDTH, **activation
    ).eval()  # fmt: skip

    def encode(phrases):
        tokens = torch.zeros(len(phrases), CONTEXT, dtype=torch.long)
        for row, phrase in enumerate(phrases):
            ids = [256, *phrase.encode()[: CONTEXT - 2], 257]
            tokens[row, : len(ids)] = torch.tensor(ids)
        with torch.no_grad(), torch.autocast("cpu", torch.float16, enabled=half):
            return torch.nn.functional.normalize(tower(tokens).float(), dim=-1)

    return encode


@pytest.fixture(scope="module")
def gelu():
    return tiny_encoder()


@pytest.fixture
def lists(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "artists.txt").write_text("Ann Lee\n Émile, the Elder \nBo\n", encoding="utf-8")
    (folder / "flavors.txt").write_bytes(b"soft light\r\n\n# no comment\nsoft light\n4 k\nbad \xff byte\nlast")
    (folder / "my_own.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    (folder / "own.txt").write_text("another list\n", encoding="utf-8")
    return folder


def open_store(tmp_path, encode, dtype="float32"):
    return EmbeddingCache(tmp_path / "cache").open(EncoderIdentity("toy/one", dtype, "t0", encode(PROBE_PHRASES)))


def trendings(site):
    sites = [site if name == "dribbble" else name for name in SITES]
    return sites + ["trending on " + s for s in sites] + ["featured on " + s for s in sites] + [
        s + " contest winner" for s in sites]  # fmt: skip


LABELS = {
    "artists": ["by Ann Lee", "by Émile, the Elder", "by Bo", "inspired by Ann Lee", "inspired by Émile, the Elder",
                "inspired by Bo"],
    "flavors": ["soft light", "", "# no comment", "soft light", "4 k", "bad \ufffd byte", "last"],
    "trendings": trendings("dribbble"),
    "my_own": ["one", "two", "three"],
}  # fmt: skip


def write(tmp_path, bank, labels, rows, name="ViT-T_toy"):
    """A file as the reference writes it."""
    digest = hashlib.sha256(",".join(labels).encode()).hexdigest()
    path = tmp_path / f"{name}_{bank}.safetensors"
    save_file({"embeds": rows, "hash": torch.tensor([ord(letter) for letter in digest], dtype=torch.int8)}, path)
    return path


@pytest.mark.parametrize("bank", LABELS)
def test_a_table_is_taken_over(tmp_path, lists, gelu, bank):
    labels = LABELS[bank]
    rows = gelu(labels).half()
    store = open_store(tmp_path, gelu)
    report = import_reference_table(write(tmp_path, bank, labels, rows), lists, store, gelu)
    assert report == ImportReport(bank, len(set(labels)), min(64, len(labels)))
    fresh = open_store(tmp_path, gelu)
    assert torch.equal(fresh.table(labels, lambda batch: pytest.fail(f"encoded {batch}")), rows)
    import_reference_table(write(tmp_path, bank, labels, rows), lists, fresh, gelu, sample=2)
    assert EmbeddingCache(tmp_path / "cache").list()[0].rows == len(set(labels)), "twice is once"


def test_the_stock_lists_hash_as_the_reference_hashes_them():
    digest = hashlib.sha256(",".join(trendings("dribbble")).encode()).hexdigest()
    assert digest.startswith("3aad0205a44297a3")
    assert hashlib.sha256(",".join(trendings("dribble")).encode()).hexdigest().startswith("7e8797d72ab579ea")


def test_the_older_spelling_of_a_site(tmp_path, lists, gelu):
    labels = trendings("dribble")
    store = open_store(tmp_path, gelu)
    import_reference_table(write(tmp_path, "trendings", labels, gelu(labels).half()), lists, store, gelu)
    assert store.missing(["featured on dribble", "featured on dribbble"]) == ["featured on dribbble"]


def test_half_precision_made_the_rows(tmp_path, lists, gelu):
    labels = LABELS["trendings"]
    rows = tiny_encoder(half=True)(labels).half()
    assert not torch.equal(rows, gelu(labels).half())
    report = import_reference_table(write(tmp_path, "trendings", labels, rows), lists, open_store(tmp_path, gelu), gelu)
    assert report.checked == 64


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("quick", [False, True])
def test_the_other_activation_is_refused(tmp_path, lists, seed, quick):
    """Also where the cosine alone, 0.999 and more, would let it pass."""
    ours, theirs = tiny_encoder(quick, seed=seed), tiny_encoder(not quick, seed=seed)
    labels = LABELS["trendings"]
    assert (ours(labels) * theirs(labels)).sum(-1).min() > 0.999
    store = open_store(tmp_path, ours)
    path = write(tmp_path, "trendings", labels, theirs(labels).half())
    with pytest.raises(CacheError, match="activation"):
        import_reference_table(path, lists, store, ours, sample=8)
    assert store.missing(labels) == labels


def test_other_weights_are_refused(tmp_path, lists, gelu):
    labels = LABELS["my_own"]
    rows = tiny_encoder(seed=5)(labels).half()
    with pytest.raises(CacheError, match="other weights"):
        import_reference_table(write(tmp_path, "my_own", labels, rows), lists, open_store(tmp_path, gelu), gelu)


def test_one_wrong_row_in_the_sample_is_enough(tmp_path, lists, gelu):
    labels = LABELS["my_own"]
    rows = gelu(labels).half()
    rows[2] = rows[1]
    with pytest.raises(CacheError, match=r"1 of 3 differ; 'three'"):
        import_reference_table(write(tmp_path, "my_own", labels, rows), lists, open_store(tmp_path, gelu), gelu)


def test_other_phrases_are_refused(tmp_path, lists, gelu):
    store = open_store(tmp_path, gelu)
    rows = gelu(LABELS["my_own"]).half()
    path = write(tmp_path, "my_own", ["one", "two", "four"], rows)
    with pytest.raises(CacheError, match="made from other phrases than my_own or own"):
        import_reference_table(path, lists, store, gelu)
    with pytest.raises(CacheError, match="unknown.txt is missing"):
        import_reference_table(write(tmp_path, "unknown", ["one"], rows[:1]), lists, store, gelu)


def spoiled(change):
    def make(tmp_path, rows, letters):
        tensors = {"embeds": rows, "hash": letters}
        change(tensors)
        path = tmp_path / "M_my_own.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        return path

    return make  # fmt: skip


@pytest.mark.parametrize(("make", "said"), [
    (lambda tmp_path, rows, letters: tmp_path / "nothing_my_own.safetensors", "No such file"),
    (spoiled(lambda t: t.pop("hash")), "not a table of clip-interrogator"),
    (spoiled(lambda t: t.pop("embeds")), "not a table of clip-interrogator"),
    (spoiled(lambda t: t.update(embeds=t["embeds"].float())), "not float16"),
    (spoiled(lambda t: t.update(embeds=t["embeds"][:, :32])), "rows of length 32; this encoder's have 64"),
    (spoiled(lambda t: t.update(embeds=t["embeds"][0])), "not float16"),
    (spoiled(lambda t: t.update(embeds=t["embeds"] * 2)), "unit rows"),
    (spoiled(lambda t: t.update(embeds=t["embeds"] / 0)), "unit rows"),
    (spoiled(lambda t: t.update(embeds=t["embeds"][:2])), "2 rows for the 3 phrases"),
    (spoiled(lambda t: t.update(hash=t["hash"][:63])), "64 letters"),
    (spoiled(lambda t: t.update(hash=-t["hash"])), "64 letters"),
])  # fmt: skip
def test_damaged_files_are_refused_by_name(tmp_path, lists, gelu, make, said):
    digest = hashlib.sha256(b"one,two,three").hexdigest()
    letters = torch.tensor([ord(letter) for letter in digest], dtype=torch.int8)
    path = make(tmp_path, gelu(LABELS["my_own"]).half(), letters)
    with pytest.raises(CacheError, match=said) as caught:
        import_reference_table(path, lists, open_store(tmp_path, gelu), gelu)
    assert str(path) in str(caught.value)


def test_garbage_is_refused(tmp_path, lists, gelu):
    path = tmp_path / "M_my_own.safetensors"
    path.write_bytes(b"garbage" * 30)
    with pytest.raises(CacheError, match="not a table of clip-interrogator"):
        import_reference_table(path, lists, open_store(tmp_path, gelu), gelu)


def test_a_bfloat16_store_cannot_tell(tmp_path, lists, gelu):
    labels = LABELS["my_own"]
    path = write(tmp_path, "my_own", labels, gelu(labels).half())
    with pytest.raises(CacheError, match="bfloat16"):
        import_reference_table(path, lists, open_store(tmp_path, gelu, "bfloat16"), gelu)


def test_a_cache_that_cannot_be_written_is_an_error_here(tmp_path, lists, gelu):
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    labels = LABELS["my_own"]
    path = write(tmp_path, "my_own", labels, gelu(labels).half())
    with pytest.raises(CacheError, match="cannot be written"):
        import_reference_table(path, lists, open_store(tmp_path, gelu), gelu)

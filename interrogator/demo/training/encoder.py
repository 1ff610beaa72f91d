"""Train the tiny CLIP: both towers learn the codes of claims, then contrastive training joins them."""

from __future__ import annotations

import json
import logging
import random
import time
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..attributes import Creature
from .classifier import Heads, attribute_loss, optimizer_of, schedule
from .codes import by_attribute, claim_flags, directions, picture_codes, text_codes, truth_flags
from .data import IMAGE_SIZE, MEAN, STD, Pictures, augmented, batches
from .texts import Text, altered, phrase, prompt, unrelated, whole_caption
from .vocabulary import CONTEXT_LENGTH, write_encoder_tokenizer

LOGGER = logging.getLogger("interrogator")

EMBED_DIM = 128
VISION: dict[str, Any] = {
    "image_size": IMAGE_SIZE,
    "patch_size": 16,
    "width": 128,
    "layers": 4,
    "head_width": 32,
    "mlp_ratio": 3.0,
    "no_ln_pre": True,
}
"""The image tower. Without the norm before the blocks it is, layer for layer, also BLIP's image tower."""

TEXT: dict[str, Any] = {"context_length": CONTEXT_LENGTH, "width": 128, "heads": 4, "layers": 3}


def build(vocab_size: int) -> nn.Module:
    """An untrained open_clip CLIP."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    text = CLIPTextCfg(vocab_size=vocab_size, **TEXT)
    return cast(nn.Module, CLIP(EMBED_DIM, CLIPVisionCfg(**VISION), text))


def write_config(folder: Path, vocab_size: int) -> None:
    """open_clip_config.json as `local-dir:` reads it; the named tokenizer is looked for in the folder itself."""
    text = {
        **TEXT,
        "vocab_size": vocab_size,
        "hf_tokenizer_name": "tokenizer",
        "tokenizer_kwargs": {"clean": "whitespace"},
    }
    content = {
        "model_cfg": {"embed_dim": EMBED_DIM, "vision_cfg": VISION, "text_cfg": text},
        "preprocess_cfg": {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def encode_texts(model: Any, ids: Tensor) -> Tensor:
    """Unit text embeddings [N, D] of ids [N, 77], computed only as far as the longest text goes.

    In a causal tower nothing after the end token reaches it, so this equals `model.encode_text`.
    """
    length = int(ids.argmax(-1).max()) + 1
    ids = ids[:, :length]
    x = model.token_embedding(ids) + model.positional_embedding[:length]  # [N, L, D]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    pooled = x[torch.arange(len(x)), ids.argmax(-1)]
    return nn.functional.normalize(pooled @ model.text_projection, dim=-1)


class _TextSource:
    """Tokenised texts about pictures, drawn with a seeded generator."""

    def __init__(self, folder: Path, seed: int) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(CONTEXT_LENGTH)
        self._tokenizer.enable_padding(pad_id=0, length=CONTEXT_LENGTH)
        self.rng = random.Random(seed)

    def encode(self, texts: list[Text]) -> tuple[Tensor, Tensor]:
        """Ids [N, 77] and claims [N, claims]."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch([text.words for text in texts])]
        return torch.tensor(ids), claim_flags([text.claims for text in texts])

    def short(self, truths: list[Creature]) -> list[Text]:
        return [phrase(truth, self.rng) for truth in truths]

    def captions(self, truths: list[Creature]) -> list[Text]:
        return [whole_caption(truth) for truth in truths]

    def altered(self, truths: list[Creature]) -> list[Text]:
        return [whole_caption(altered(truth, self.rng)) for truth in truths]

    def prompts(self, truths: list[Creature]) -> list[Text]:
        return [prompt(truth, self.rng.choice(truths), self.rng) for truth in truths]

    def unrelated(self, count: int) -> list[Text]:
        return [unrelated(self.rng) for _ in range(count)]


def teach_text_tower(model: Any, folder: Path, truths: list[Creature], steps: int, rate: float = 1e-3) -> None:
    """Bring every text to the code of its claims."""
    source = _TextSource(folder, seed=1)
    axes = directions(EMBED_DIM)
    parts = (model.token_embedding, model.transformer, model.ln_final)
    optimizer = optimizer_of(parts, rate)
    optimizer.add_param_group({"params": [model.positional_embedding, model.text_projection], "weight_decay": 0.0})
    begun = time.monotonic()
    for step in range(steps):
        some = source.rng.sample(truths, 64)
        # Texts of a length together, so that short ones are not padded to the length of prompts.
        middle = source.captions(some[:24]) + source.unrelated(32)
        groups = (source.short(some), middle, source.prompts(some[:16]))
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, steps, rate)
        optimizer.zero_grad()
        total = 0.0
        for texts in groups:
            ids, claims = source.encode(texts)
            off = 1 - (encode_texts(model, ids) * text_codes(claims, axes)).sum(-1)
            loss = off.mean() / len(groups)
            torch.autograd.backward(loss)
            total += loss.item()
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
        optimizer.step()
        if step % 100 == 0:
            LOGGER.info("text tower %d/%d loss %.4f %.0f s", step, steps, total, time.monotonic() - begun)


def take_image_tower(model: Any, tower: nn.Module, heads: Heads) -> None:
    """Start the image tower as the classifier left it, its projection sending each class to its code."""
    model.visual.load_state_dict(tower.state_dict(), strict=False)
    axes = directions(EMBED_DIM)
    weights = torch.cat([cast(nn.Linear, linear).weight for linear in heads.linear])  # [classes, width]
    with torch.no_grad():
        projection = weights.T @ axes[: len(weights)]
        model.visual.proj.copy_(projection / projection.norm() * model.visual.proj.norm())


def picture_loss(embeddings: Tensor, labels: Tensor, axes: Tensor) -> Tensor:
    """How far unit picture embeddings [B, D] are from their codes, as classification and as distance."""
    wrong = attribute_loss(by_attribute(embeddings, axes), labels)
    return wrong + 1 - (embeddings * picture_codes(truth_flags(labels), axes)).sum(-1).mean()


def contrast(pictures: Tensor, texts: Tensor, true: Tensor, own: Tensor, scale: Tensor) -> Tensor:
    """Contrastive loss where several texts fit one picture and several pictures one text.

    pictures [B, D] and texts [N, D] of unit length; true [B, N]: the text fits the picture; own [N]: the picture a
    text was drawn for, -1 for none. A picture's own text competes only with texts that are false of the picture.
    """
    logits = scale * pictures @ texts.T  # [B, N]
    false = torch.logsumexp(logits.masked_fill(true, -torch.inf), dim=1)  # [B]
    mine = torch.nonzero((own >= 0) & true[own.clamp(min=0), torch.arange(len(own))]).squeeze(1)
    positive = logits[own[mine], mine]
    to_text = nn.functional.softplus(false[own[mine]] - positive).mean()
    known = true.any(0)
    to_picture = torch.logsumexp(logits[:, known], 0) - torch.logsumexp(
        logits[:, known].masked_fill(~true[:, known], -torch.inf), 0
    )
    return to_text + to_picture.mean()


def train_pair(model: Any, folder: Path, pictures: Pictures, epochs: float, rate: float, batch: int = 64) -> None:
    """Contrast the towers with each other while each stays near its codes."""
    source = _TextSource(folder, seed=2)
    axes = directions(EMBED_DIM)
    generator = torch.Generator().manual_seed(3)
    optimizer = optimizer_of((model,), rate)
    total = round(len(pictures.pixels) * epochs / batch)
    begun = time.monotonic()
    model.train()
    for step, picked in enumerate(batches(len(pictures.pixels), batch, epochs, generator)):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, total, rate, warmup=50)
        embeddings = nn.functional.normalize(model.encode_image(augmented(pictures.pixels[picked])), dim=-1)
        loss = picture_loss(embeddings, pictures.labels[picked], axes)
        truths = [pictures.truths[i] for i in picked.tolist()]
        loss = loss + _text_losses(model, source, truths, embeddings, pictures.labels[picked], axes)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)  # at most 100, as CLIP holds it
        if step % 50 == 0:
            LOGGER.info("encoder %d/%d loss %.4f %.0f s", step, total, loss.item(), time.monotonic() - begun)
    model.eval()


def _text_losses(
    model: Any, source: _TextSource, truths: list[Creature], embeddings: Tensor, labels: Tensor, axes: Tensor
) -> Tensor:
    """Contrast a batch of pictures with texts of every form, and keep the texts near their codes."""
    count = len(truths)
    some = count // 4
    groups = (
        source.short(truths),
        source.captions(truths[: 2 * some]) + source.altered(truths[: 2 * some]) + source.unrelated(2 * some),
        source.prompts(truths[-some:]),
    )
    mine, nobody = torch.arange(count), torch.full((4 * some,), -1)
    own = torch.cat([mine, mine[: 2 * some], nobody, mine[-some:]])
    encoded, claims = [], []
    for texts in groups:
        ids, claimed = source.encode(texts)
        encoded.append(encode_texts(model, ids))
        claims.append(claimed)
    text_embeddings, text_claims = torch.cat(encoded), torch.cat(claims)
    true = (text_claims @ (1 - truth_flags(labels)).T == 0).T  # [B, N]: no claim that the picture does not bear out
    near = (1 - (text_embeddings * text_codes(text_claims, axes)).sum(-1)).mean()
    return 2 * near + contrast(embeddings, text_embeddings, true, own, model.logit_scale.exp())


def save(model: nn.Module, folder: Path) -> None:
    """Write open_clip_model.safetensors as fp16; every loader widens it to the model's own fp32."""
    state = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    aside = folder / "open_clip_model.safetensors.part"
    save_file(state, aside)
    aside.chmod(0o644)  # safetensors makes files that only their owner can read
    aside.replace(folder / "open_clip_model.safetensors")


def prepare(folder: Path) -> nn.Module:
    """Write tokenizer and configuration, and return the untrained model they describe."""
    vocab_size = write_encoder_tokenizer(folder)
    write_config(folder, vocab_size)
    return build(vocab_size)

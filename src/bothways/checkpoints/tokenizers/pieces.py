"""Tokenizers of sentencepiece models (Kudo and Richardson 2018), for the `tokenizers` library."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.checkpoints.tokenizers.sentencepiece_model import ScoredPiece, SentencePieceModel
from bothways.checkpoints.tokenizers.settings import TokenizerSettings
from bothways.checkpoints.tokenizers.vocabularies import add_tokens, required
from bothways.errors import CheckpointError, UnsupportedModel

__all__ = ["sentence_piece"]

_SPACE = "▁"
_UNKNOWN_PENALTY = 10.0
"""sentencepiece's: an unknown character scores this much less than the worst piece."""
_NEVER = 64
"""A piece that no text may become scores this many times less than an unknown character, more
than the length of any such name."""
_NUMBER_COMMA = re.compile(r"\d,$")
_COMMA_PENALTY = 100.0
"""For pieces that end with a digit and a comma, which ALBERT splits: as transformers has it."""


def sentence_piece(
    settings: TokenizerSettings, tokenizer_class: TokenizerClass, path: Path
) -> Tokenizer:
    """A tokenizer with the ids that the class gives to the pieces of the model file.

    Raises:
        CheckpointError: if the file or the settings are malformed.
        UnsupportedModel: if the model or a setting needs what bothways does not implement.
    """
    model = SentencePieceModel.read(path)
    special = settings.special_tokens(tokenizer_class)
    pieces, sentinels = _vocabulary(model, settings, tokenizer_class, special)
    vocabulary = {piece.text: index for index, piece in enumerate(pieces)}
    unknown = required("unk_token", special, vocabulary, path)
    tokenizer = Tokenizer(_model(model, pieces, tokenizer_class, unknown, path))
    tokenizer.normalizer = normalizers.Sequence(_normalizers(model, settings, tokenizer_class))
    spans_words = any(_SPACE in piece.text[1:] for piece in pieces)
    # The normalizers have put the space before the text.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
        _SPACE, prepend_scheme="never", split=not spans_words
    )
    tokenizer.decoder = decoders.Metaspace(
        _SPACE, prepend_scheme="always" if model.adds_prefix else "never"
    )
    tokenizer.add_special_tokens(
        [
            AddedToken(piece.text, normalized=False, special=True)
            for piece in pieces
            if piece.kind == "control" and piece.text not in {t.content for t in special.values()}
        ]
    )
    add_tokens(tokenizer, settings, special, vocabulary)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in sentinels])
    tokenizer.post_processor = _template(tokenizer_class, special, vocabulary, path)
    return tokenizer


def _vocabulary(
    model: SentencePieceModel,
    settings: TokenizerSettings,
    tokenizer_class: TokenizerClass,
    special: Mapping[str, AddedToken],
) -> tuple[list[ScoredPiece], list[str]]:
    """The pieces by the ids of the class, and the names of its sentinels among them."""
    ids = tokenizer_class.piece_ids

    def named(entry: str) -> str:
        usual = tokenizer_class.special_tokens.get(entry, entry)
        return special[entry].content if entry in special else usual

    count = settings.config.get("extra_ids", ids.num_sentinels) if ids.num_sentinels else 0
    if type(count) is not int or not 0 <= count <= 100_000:
        raise CheckpointError(f"{settings.folder}: extra_ids={count!r:.80}; expected a number")
    sentinels = [f"<extra_id_{number}>" for number in range(count - 1, -1, -1)]
    kept = model.pieces[ids.replaced :]
    leading = [ScoredPiece(named(entry), 0.0, "control") for entry in ids.leading]
    taken = {piece.text for piece in (*leading, *kept)}
    after = [name for name in (*map(named, ids.trailing), *sentinels) if name not in taken]
    pieces = [*leading, *kept, *(ScoredPiece(name, 0.0, "control") for name in after)]
    if len({piece.text for piece in pieces}) < len(pieces):
        raise CheckpointError(
            f"{settings.folder}: a special token of the tokenizer is also a piece of the model"
        )
    return pieces, sentinels


def _model(
    model: SentencePieceModel,
    pieces: Sequence[ScoredPiece],
    tokenizer_class: TokenizerClass,
    unknown: str,
    path: Path,
) -> models.Model:
    ids = {piece.text: index for index, piece in enumerate(pieces)}
    match model.algorithm:
        case "unigram":
            scores = _scores(pieces, tokenizer_class.piece_ids.plain_quotes)
            return models.Unigram(
                [(piece.text, score) for piece, score in zip(pieces, scores, strict=True)],
                unk_id=ids[unknown],
                byte_fallback=model.byte_fallback,
            )
        case "byte_pair":
            if any(piece.kind == "user" and len(piece.text) > 1 for piece in pieces):
                raise UnsupportedModel(
                    f"{path}: a byte-pair model of sentencepiece with symbols chosen by hand; make "
                    "a tokenizer.json with transformers"
                )
            return models.BPE(
                ids,
                _merges(pieces),
                unk_token=unknown,
                fuse_unk=True,
                byte_fallback=model.byte_fallback,
            )


def _scores(pieces: Sequence[ScoredPiece], avoids_commas: bool) -> list[float]:
    """Scores as sentencepiece uses them: only normal pieces and symbols of the user are matched."""
    normal = [piece.score for piece in pieces if piece.kind == "normal"] or [0.0]
    never = (min(normal) - _UNKNOWN_PENALTY) * _NEVER

    def score(piece: ScoredPiece) -> float:
        match piece.kind:
            case "normal":
                penalty = (
                    _COMMA_PENALTY if avoids_commas and _NUMBER_COMMA.search(piece.text) else 0
                )
                return piece.score - penalty
            case "user":
                return len(piece.text.encode()) * max(normal) - 0.1
            case _:
                return never

    return list(map(score, pieces))


def _merges(pieces: Sequence[ScoredPiece]) -> list[tuple[str, str]]:
    """Every pair of pieces that joins to a piece, the best first."""
    usable = {piece.text: piece.score for piece in pieces if piece.kind in ("normal", "user")}
    merges = [
        (-score, end, text[:end], text[end:])
        for text, score in usable.items()
        for end in range(1, len(text))
        if text[:end] in usable and text[end:] in usable
    ]
    return [(left, right) for _, _, left, right in sorted(merges)]


def _normalizers(
    model: SentencePieceModel, settings: TokenizerSettings, tokenizer_class: TokenizerClass
) -> list[normalizers.Normalizer]:
    """The steps of the class, then those of sentencepiece."""
    ids = tokenizer_class.piece_ids
    steps: list[normalizers.Normalizer] = []
    if ids.plain_quotes:
        steps += [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
        if not settings.flag("keep_accents", False):
            steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if ids.lowercases is not None and settings.flag("do_lower_case", ids.lowercases):
        steps.append(normalizers.Lowercase())
    if settings.config.get("split_by_punct"):
        raise UnsupportedModel(
            f"{settings.folder / 'tokenizer_config.json'}: split_by_punct=true is not supported"
        )
    if model.charsmap:
        if model.composes:
            # The library applies the table to each character of a long cluster, and so would not
            # compose decomposed Hangul and kana.
            steps.append(normalizers.NFC())
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.removes_spaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if model.adds_prefix:
        steps.append(normalizers.Prepend(_SPACE))
    return [*steps, normalizers.Replace(" ", _SPACE)]


def _template(
    tokenizer_class: TokenizerClass,
    special: Mapping[str, AddedToken],
    vocabulary: Mapping[str, int],
    path: Path,
) -> processors.TemplateProcessing:
    """The special tokens around a text and a pair; without `cls_token` only at their ends."""
    begin_role = "cls_token" if "cls_token" in tokenizer_class.special_tokens else None
    end = required("sep_token" if begin_role else "eos_token", special, vocabulary, path)
    begin = begin_role and required(begin_role, special, vocabulary, path)
    first = [*([begin] if begin else []), "$A", end]
    second = 1 if tokenizer_class.piece_ids.segments else 0
    between = [end] * (tokenizer_class.separators - 1)
    pair = [*first, *between, f"$B:{second}", f"{end}:{second}"]
    tokens = [(name, vocabulary[name]) for name in {begin, end} if name]
    return processors.TemplateProcessing(single=first, pair=pair, special_tokens=tokens)

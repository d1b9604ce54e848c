"""Self-attention on a packed batch: each token mixes with the tokens of its own sequence.

T tokens of all sequences end to end; L positions of one sequence as queries, M as keys; D model
width; H heads of queries, G of keys and values, K head width.
Attribute names are the names in `weights.layout`.
"""

import math
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bothways.model.config import EncoderConfig
from bothways.model.disentangled import position_projections
from bothways.nn.disentangled import DistanceScores
from bothways.nn.kernels import Chunk, attend, mask_of
from bothways.nn.layers import Linear, make_norm
from bothways.nn.lengths import Lengths
from bothways.nn.positions import NO_POSITIONS, PackedAttentionPositions


class MultiHeadSelfAttention(nn.Module):
    """Mix each token with the tokens of its own sequence (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        D, bias, key_bias = config.d_model, config.attention_bias, config.has_attention_key_bias
        Q, V = config.query_width, config.key_value_width
        self.query, self.key = Linear(D, Q, bias=bias), Linear(D, V, bias=key_bias)
        self.value = Linear(D, V, bias=bias)
        self.output = Linear(Q, D, bias=config.has_attention_output_bias)
        own = position_projections(config)
        self.position_key = Linear(D, V, bias=key_bias) if "position_key" in own else None
        self.position_query = Linear(D, Q, bias=bias) if "position_query" in own else None
        match config.attention_direction:
            case "both":
                self.is_causal = False
            case "causal":
                self.is_causal = True
            case unknown:
                assert_never(unknown)
        match config.query_key_norm:
            case "none":
                pass
            case "head":
                self.query_norm = make_norm(config, config.head_width, bias=False)
                self.key_norm = make_norm(config, config.head_width, bias=False)
            case "all_heads":
                self.query_norm = make_norm(config, Q, bias=False)
                self.key_norm = make_norm(config, V, bias=False)
            case other:
                assert_never(other)

    def forward(
        self,
        x_TD: Tensor,
        lengths: Lengths,
        layer: int,
        positions: PackedAttentionPositions = NO_POSITIONS,
    ) -> Tensor:
        """The attention output of each token, (T, D)."""
        q_THK, k_TGK = self._queries_and_keys(x_TD, lengths, positions)
        mixed_THK = attend(
            q_THK,
            k_TGK,
            self._heads(self.value(x_TD)),
            lengths,
            positions.score_bias,
            self._distance_scores(positions),
            window=self.config.window(layer),
            is_causal=self.is_causal,
            dropout=self.config.attention_dropout if self.training else 0.0,
        )
        output_TD: Tensor = self.output(mixed_THK.flatten(-2))
        return output_TD

    def probabilities(
        self,
        x_LD: Tensor,
        lengths: Lengths,
        layer: int,
        positions: PackedAttentionPositions = NO_POSITIONS,
    ) -> Float[Tensor, "H L L"]:
        """Attention probabilities of one sequence, at least in float32; rows sum to 1."""
        q_LHK, k_MGK = self._queries_and_keys(x_LD, lengths, positions)
        q_LGNK = q_LHK.view(len(q_LHK), self.config.key_value_heads, -1, q_LHK.shape[-1])
        score_HLM = torch.einsum("lgnk,mgk->gnlm", q_LGNK, k_MGK).flatten(0, 1)
        score_HLM = score_HLM / math.sqrt(q_LHK.shape[-1])
        everything = Chunk(0, lengths.longest, 0, lengths.longest)
        window = self.config.window(layer)
        mask_HLM = mask_of(everything, positions.score_bias, window, self.is_causal, like=score_HLM)
        if mask_HLM is not None:
            score_HLM = score_HLM + mask_HLM
        distance_scores = self._distance_scores(positions)
        if distance_scores is not None:
            q_1HLK, k_1GMK = q_LHK.transpose(0, 1)[None], k_MGK.transpose(0, 1)[None]
            score_HLM = score_HLM + distance_scores.bias(q_1HLK, k_1GMK, 0, 0)[0]
        return torch.softmax(
            score_HLM, -1, dtype=torch.promote_types(score_HLM.dtype, torch.float32)
        )

    def _queries_and_keys(
        self, x_TD: Tensor, lengths: Lengths, positions: PackedAttentionPositions
    ) -> tuple[Tensor, Tensor]:
        config = self.config
        q_TQ, k_TV = self.query(x_TD), self.key(x_TD)
        match config.query_key_norm:
            case "none":
                q_THK, k_TGK = self._heads(q_TQ), self._heads(k_TV)
            case "head":
                q_THK = self.query_norm(self._heads(q_TQ))
                k_TGK = self.key_norm(self._heads(k_TV))
            case "all_heads":
                q_THK = self._heads(self.query_norm(q_TQ))
                k_TGK = self._heads(self.key_norm(k_TV))
            case unknown:
                assert_never(unknown)
        if self._query_factor != 1:
            q_THK = q_THK * self._query_factor
        return positions.rotate(q_THK, lengths), positions.rotate(k_TGK, lengths)

    @property
    def _query_factor(self) -> float:
        """What queries are multiplied by, where kernels divide by √K and the config does not."""
        kernels_scale = 1 / math.sqrt(self.config.head_width)
        scale = self.config.score_scale
        return 1.0 if scale == kernels_scale else scale / kernels_scale

    def _distance_scores(self, positions: PackedAttentionPositions) -> DistanceScores | None:
        """The projections of the table of distances; None without disentangled attention."""
        if positions.distances is None:
            return None
        config, (vectors_ND, rows, row_R) = self.config, positions.distances
        key_NGK = query_NHK = None
        if config.content_to_position:
            project = self.key if self.position_key is None else self.position_key
            key_NGK = self._heads(project(vectors_ND))
        if config.position_to_content:
            project = self.query if self.position_query is None else self.position_query
            query_NHK = self._heads(project(vectors_ND)) * self._query_factor
        return DistanceScores(key_NGK, query_NHK, rows, row_R)

    def _heads(self, x_TQ: Tensor) -> Tensor:
        return x_TQ.view(len(x_TQ), -1, self.config.head_width)

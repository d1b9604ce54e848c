// Multi-head self-attention. Vaswani et al. 2017, section 3.2.
//
// R rows (tokens of a chunk); D model width; H heads of queries; K head width; L positions of a sequence; Q
// and V, widths of the queries and of the values of all heads.
#pragma once

#include "batch.h"
#include "distances.h"
#include "norm.h"
#include "weights.h"
#include "workspace.h"

namespace bothways {

// Position tables of attention, shared by all sequences: rotary angles, and biases by distance.
class PositionTables {
public:
    PositionTables(const EncoderConfig& config, const Weights& weights);

    // Grows the tables, unless they serve sequences of `longest` already. To be called before the others.
    void reserve(int longest);

    struct Rotary {
        const float* cosine;  // (longest, K / 2), times the magnitude
        const float* sine;
    };
    Rotary rotary(int layer) const;  // requires rotary positions
    // The bias of one head, indexed by key position - query position; null without relative or alibi
    // positions.
    const float* bias(int head) const;
    std::ptrdiff_t bias_stride() const { return 2 * length_ - 1; }  // from head to head
    // The columns of disentangled attention, for DistanceArgs; null without.
    const std::int32_t* columns() const {
        return columns_.size() ? columns_.data() + max_length_ - 1 + column_margin : nullptr;
    }
    int exact_distance() const { return exact_distance_; }
    std::size_t bytes() const;

private:
    struct Angles {
        std::vector<double> frequencies;
        double magnitude;
        Buffer<float> cosine, sine;

        bool same_rotation(const Angles& other) const {
            return frequencies == other.frequencies && magnitude == other.magnitude;
        }
    };
    static constexpr int column_margin = 64;  // of DistanceArgs::column
    void set_columns(const EncoderConfig& config);
    void set_angles(Angles& angles) const;
    void set_relative_bias();
    void set_alibi();

    const EncoderConfig& config_;
    std::vector<float> by_bucket_;      // (buckets, H), with relative positions
    std::vector<Angles> angles_;        // one per distinct rotation
    std::vector<int> angles_of_layer_;  // index into angles_
    Buffer<float> bias_;                // (H, 2 length - 1)
    Buffer<std::int32_t> columns_;      // by distance, with a margin on both sides
    int exact_distance_ = 0;
    int length_ = 0;  // of the longest sequences that angles_ and bias_ serve
    int max_length_;
};

class SelfAttention {
public:
    SelfAttention(const Kernels& kernels, const EncoderConfig& config, const Weights& weights,
                  Precision precision, const std::string& name);

    // out = attention(x), or out += attention(x), for x (R, D), which may be work.x or work.side. Unless `probabilities` is
    // null, also fills it (H, L, L); the chunk must then be one sequence. All members of the team call it
    // together; it ends with a barrier.
    void forward(const Team& team, const Chunk& chunk, Workspace& work, const float* x, float* out,
                 Accumulate accumulate, int layer, const PositionTables& positions,
                 float* probabilities) const;

    std::size_t bytes() const { return query_key_value_.bytes() + output_.bytes() + distances_.bytes(); }

private:
    void normalize(const Team& team, int rows, float* qkv) const;
    void rotate(const Team& team, const Chunk& chunk, float* qkv, PositionTables::Rotary angles) const;
    AttentionArgs head_args(const Chunk& chunk, Workspace& work, const Team& team, int sequence, int head,
                            int heads, int layer, const PositionTables& positions) const;

    const Kernels& kernels_;
    const EncoderConfig& config_;
    Precision precision_;
    NormLayer query_norm_, key_norm_;  // of queries and keys, if the encoder has them
    Linear query_key_value_, output_;
    DistanceVectors distances_;
};

}  // namespace bothways

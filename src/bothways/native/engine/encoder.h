// The encoder: embedding and blocks, over the chunks of a packed batch.
//
// B sequences; T tokens; D model width; H heads; L positions.
#pragma once

#include <mutex>
#include <optional>

#include "block.h"
#include "convolution.h"
#include "embedding.h"
#include "forks.h"
#include "pooling.h"

namespace bothways {

// The outputs to compute for a batch, with pointers to the caller's memory.
struct Request {
    std::optional<Pooling> pooling;
    std::vector<int> hidden_layers;  // 0: embeddings; num_layers: the last block, after the final norm
    float* hidden = nullptr;         // (layers, T, D)
    std::vector<int> attention_layers;
    float* probabilities = nullptr;  // (layers, H, L, L), for a batch of one sequence
};

class Encoder {
public:
    // Embedding tables are not copied from `weights`: their memory must outlive the encoder.
    Encoder(const Kernels& kernels, EncoderConfig config, const Weights& weights, Precision precision,
            int threads);

    const EncoderConfig& config() const { return config_; }
    const Kernels& kernels() const { return kernels_; }
    int threads() const { return threads_; }
    std::size_t packed_bytes() const;  // of packed weights and position tables
    // Upper bound of the memory of all threads for batches of `tokens`, in sequences of at most `longest`.
    std::size_t workspace_bytes(int tokens, int longest) const;

    // Throws std::bad_alloc, std::invalid_argument and ThreadStartError. Concurrent calls run one after the
    // other. May be called in a child process, whatever the parent's threads were doing when it forked.
    void run(const Batch& batch, const Request& request);

private:
    // What a run changes; one run at a time.
    struct Execution {
        explicit Execution(int threads) : pool(threads), workspaces(static_cast<std::size_t>(threads)) {}
        std::mutex mutex;
        ThreadPool pool;
        std::vector<Workspace> workspaces;  // one per thread
    };

    void check(const Batch& batch, const Request& request) const;
    void forward(const Team& team, const Chunk& chunk, Workspace& work, const Request& request) const;
    void copy_hidden(const Team& team, const Chunk& chunk, const float* x, int layer,
                     const Request& request) const;

    const Kernels& kernels_;
    const EncoderConfig config_;
    const Precision precision_;
    Embedding embedding_;
    PositionTables positions_;
    std::vector<Block> blocks_;
    std::optional<Convolution> convolution_;
    std::optional<NormLayer> final_norm_;

    const int threads_;
    PerProcess<Execution> execution_;
};

}  // namespace bothways

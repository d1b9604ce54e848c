#include "encoder.h"

#include <algorithm>
#include <stdexcept>

namespace bothways {

namespace {

// Tokens that one thread carries through all the layers together: enough to use each weight often
// while it is in cache, few enough that their activations stay in cache too.
constexpr int chunk_tokens = 256;
// Below so many tokens for each thread, the threads share the work of every layer instead: reading all
// the weights once each would cost them more than waiting for each other.
constexpr int fewest_tokens_alone = 32;

// Cuts a batch into chunks of whole sequences, nearly alike, of about `tokens` each, and as many as
// `members` can share fairly.
std::vector<Chunk> cut(const Batch& batch, int tokens, int members) {
    const std::int64_t all = batch.tokens();
    const std::int64_t count = ((all + tokens - 1) / tokens + members - 1) / members * members;
    std::vector<Chunk> chunks;
    int first = 0;
    for (int s = 1; s <= batch.sequences(); ++s) {
        const std::int64_t end = (static_cast<std::int64_t>(chunks.size()) + 1) * all / count;
        // The boundary between sequences that is nearest to where the chunk should end.
        if (s == batch.sequences() || batch.start[s] + batch.start[s + 1] > 2 * end) {
            chunks.push_back({batch, first, s});
            first = s;
        }
    }
    return chunks;
}

}  // namespace

Encoder::Encoder(const Kernels& kernels, EncoderConfig config, const Weights& weights,
                 Precision precision, int threads)
    : kernels_(kernels), config_(std::move(config)), precision_(precision),
      embedding_(kernels, config_, weights), positions_(config_, weights), pool_(threads),
      workspaces_(static_cast<std::size_t>(threads)) {
    const int num_blocks = *std::max_element(config_.block.begin(), config_.block.end()) + 1;
    blocks_.reserve(static_cast<std::size_t>(num_blocks));
    for (int b = 0; b < num_blocks; ++b) blocks_.emplace_back(kernels_, config_, weights, precision, b);
    if (config_.final_norm)
        final_norm_ = NormLayer(kernels_, config_, weights, "final_norm", config_.d_model);
}

std::size_t Encoder::packed_bytes() const {
    std::size_t bytes = embedding_.bytes() + positions_.bytes();
    for (const Block& block : blocks_) bytes += block.bytes();
    return bytes;
}

std::size_t Encoder::workspace_bytes(int tokens, int longest) const {
    const int alone = std::min(tokens, chunk_tokens + longest);
    const Workspace::Sizes sizes(config_, kernels_, precision_, alone, std::min(tokens, longest));
    return static_cast<std::size_t>(pool_.size()) * sizes.bytes(1);
}

void Encoder::run(const Batch& batch, const Request& request) {
    check(batch, request);
    const std::lock_guard<std::mutex> lock(mutex_);
    const int threads = pool_.size(), tokens = batch.tokens();
    const bool alone = threads == 1 || (batch.sequences() >= threads &&
                                        tokens >= threads * fewest_tokens_alone);
    const std::vector<Chunk> chunks = cut(batch, chunk_tokens, alone ? threads : 1);
    int rows = 0, longest = 0;
    for (const Chunk& chunk : chunks) rows = std::max(rows, chunk.rows());
    for (int s = 0; s < batch.sequences(); ++s) longest = std::max(longest, batch.length(s));

    const Workspace::Sizes sizes(config_, kernels_, precision_, rows, longest);
    if (alone) {
        for (Workspace& work : workspaces_)
            work.reserve(sizes, 1);
        std::atomic<std::size_t> next{0};
        pool_.run(threads, [&](int rank) {
            for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < chunks.size();)
                forward(Team{}, chunks[i], workspaces_[rank], request);
        });
    } else {
        workspaces_[0].reserve(sizes, threads);
        Barrier barrier(threads);
        pool_.run(threads, [&](int rank) {
            for (const Chunk& chunk : chunks)
                forward(Team{rank, threads, &barrier}, chunk, workspaces_[0], request);
        });
    }
}

void Encoder::check(const Batch& batch, const Request& request) const {
    for (const int layer : request.hidden_layers)
        if (layer < 0 || layer > config_.num_layers)
            throw std::invalid_argument("hidden states of layer " + std::to_string(layer) +
                                        ": expected 0 to " + std::to_string(config_.num_layers));
    for (const int layer : request.attention_layers)
        if (layer < 0 || layer >= config_.num_layers)
            throw std::invalid_argument("attention of layer " + std::to_string(layer) +
                                        ": expected 0 to " + std::to_string(config_.num_layers - 1));
    if (!request.attention_layers.empty() && batch.sequences() != 1)
        throw std::invalid_argument("attention takes a batch of one sequence, not " +
                                    std::to_string(batch.sequences()));
    if (request.pooling)
        for (int s = 0; s < batch.sequences(); ++s)
            if (request.pooling->skip < 0 || request.pooling->skip >= batch.length(s))
                throw std::invalid_argument("skip=" + std::to_string(request.pooling->skip) +
                                            " leaves nothing of sequence " + std::to_string(s) +
                                            " of length " + std::to_string(batch.length(s)));
}

void Encoder::forward(const Team& team, const Chunk& chunk, Workspace& work,
                      const Request& request) const {
    float* x = work.x.data();
    embedding_.forward(team, chunk, work);
    keep(team, chunk, x, 0, request);
    for (int layer = 0; layer < config_.num_layers; ++layer) {
        float* probabilities = nullptr;
        const auto& wanted = request.attention_layers;
        const auto found = std::find(wanted.begin(), wanted.end(), layer);
        if (found != wanted.end())
            probabilities = request.probabilities + (found - wanted.begin()) *
                                                        static_cast<std::ptrdiff_t>(config_.num_heads) *
                                                        chunk.rows() * chunk.rows();
        blocks_[config_.block[layer]].forward(team, chunk, work, layer, positions_, probabilities);
        if (final_norm_ && layer + 1 == config_.num_layers) {
            // Each member normalises, and then keeps, the same rows.
            final_norm_->apply(team, x, chunk.rows(), x);
        }
        keep(team, chunk, x, layer + 1, request);
    }
    team.wait();
    if (request.pooling) pool(team, kernels_, chunk, x, config_.d_model, *request.pooling);
    team.wait();
}

// Copies this member's rows to where hidden states of `layer` are wanted.
void Encoder::keep(const Team& team, const Chunk& chunk, const float* x, int layer,
                   const Request& request) const {
    const std::ptrdiff_t D = config_.d_model;
    const Range mine = team.share(chunk.rows());
    for (std::size_t i = 0; i < request.hidden_layers.size(); ++i)
        if (request.hidden_layers[i] == layer) {
            float* to = request.hidden +
                        (static_cast<std::ptrdiff_t>(i) * chunk.batch.tokens() + chunk.begin()) * D;
            std::copy(x + mine.first * D, x + mine.last * D, to + mine.first * D);
        }
}

}  // namespace bothways

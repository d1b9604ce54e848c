#include "encoder.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace bothways {

namespace {

// Tokens per chunk: enough to reuse each weight while it is in cache, few enough that the activations stay
// in cache too.
constexpr int chunk_tokens = 256;
// With fewer tokens per thread, threads share each layer instead of taking chunks: reading all weights in
// every thread would cost more than the barriers.
constexpr int min_tokens_per_thread = 32;

// Splits a batch into chunks of whole sequences with about `tokens` tokens each; their number is a multiple of
// `threads`, if there are enough sequences.
std::vector<Chunk> split_into_chunks(const Batch& batch, int tokens, int threads) {
    const std::int64_t total = batch.tokens();
    const std::int64_t count = ((total + tokens - 1) / tokens + threads - 1) / threads * threads;
    std::vector<Chunk> chunks;
    int first = 0;
    for (int s = 1; s <= batch.sequences(); ++s) {
        const std::int64_t end = (static_cast<std::int64_t>(chunks.size()) + 1) * total / count;
        // End the chunk at the boundary between sequences that is nearest to `end`.
        if (s == batch.sequences() || batch.start[s] + batch.start[s + 1] > 2 * end) {
            chunks.push_back({batch, first, s});
            first = s;
        }
    }
    return chunks;
}

// Multiply-adds of a chunk, per layer; of experts, those of one.
double operations(const EncoderConfig& config, const Chunk& chunk) {
    const double D = config.d_model, Q = config.query_width();
    const double per_token =
        D * (config.query_key_value_width() + Q) + (config.gated ? 3 : 2) * D * config.d_ff;
    double sum = per_token * chunk.rows();
    for (int s = chunk.first; s < chunk.last; ++s)
        sum += 2 * Q * chunk.batch.length(s) * chunk.batch.length(s);
    return sum;
}

// The indices of the chunks, largest first: threads that take the next chunk when they have finished one then end
// at nearly the same time (Graham 1969, theorem 2).
std::vector<std::size_t> largest_first(const std::vector<Chunk>& chunks, const EncoderConfig& config) {
    std::vector<double> size;
    for (const Chunk& chunk : chunks) size.push_back(operations(config, chunk));
    std::vector<std::size_t> order(chunks.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return size[a] > size[b]; });
    return order;
}

}  // namespace

Encoder::Encoder(const Kernels& kernels, EncoderConfig config, const Weights& weights,
                 Precision precision, int threads)
    : kernels_(kernels), config_(std::move(config)), precision_(precision),
      embedding_(kernels, config_, weights), positions_(config_, weights), threads_(threads),
      execution_([threads] { return std::make_unique<Execution>(threads); }) {
    int num_blocks = 0;
    for (const int block : config_.block) num_blocks = std::max(num_blocks, block + 1);
    blocks_.reserve(static_cast<std::size_t>(num_blocks));
    for (int b = 0; b < num_blocks; ++b) blocks_.emplace_back(kernels_, config_, weights, precision, b);
    if (config_.convolution_kernel_size) convolution_.emplace(kernels_, config_, weights);
    if (config_.final_norm)
        final_norm_ = NormLayer(kernels_, config_, weights, "final_norm", config_.d_model);
}

std::size_t Encoder::packed_bytes() const {
    std::size_t bytes = embedding_.bytes() + positions_.bytes();
    for (const Block& block : blocks_) bytes += block.bytes();
    if (convolution_) bytes += convolution_->bytes();
    return bytes;
}

std::size_t Encoder::workspace_bytes(int tokens, int longest) const {
    const int rows = std::min(tokens, chunk_tokens + longest);
    const Workspace::Sizes sizes(config_, kernels_, precision_, rows, std::min(tokens, longest));
    return static_cast<std::size_t>(threads_) * sizes.bytes(1);
}

void Encoder::run(const Batch& batch, const Request& request) {
    check(batch, request);
    Execution& execution = execution_.get();
    const std::lock_guard<std::mutex> lock(execution.mutex);
    std::vector<Workspace>& workspaces = execution.workspaces;
    const int threads = threads_, tokens = batch.tokens();
    const bool chunk_per_thread = threads == 1 || (batch.sequences() >= threads &&
                                                   tokens >= threads * min_tokens_per_thread);
    const std::vector<Chunk> chunks =
        split_into_chunks(batch, chunk_tokens, chunk_per_thread ? threads : 1);
    int rows = 0, longest = 0;
    for (const Chunk& chunk : chunks) rows = std::max(rows, chunk.rows());
    for (int s = 0; s < batch.sequences(); ++s) longest = std::max(longest, batch.length(s));

    positions_.reserve(longest);
    const Workspace::Sizes sizes(config_, kernels_, precision_, rows, longest);
    if (chunk_per_thread) {
        for (Workspace& work : workspaces) work.reserve(sizes, 1);
        const std::vector<std::size_t> order = largest_first(chunks, config_);
        std::atomic<std::size_t> next{0};
        execution.pool.run(threads, [&](int rank) noexcept {
            for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < chunks.size();)
                forward(Team{}, chunks[order[i]], workspaces[rank], request);
        });
    } else {
        workspaces[0].reserve(sizes, threads);
        Barrier barrier(threads);
        execution.pool.run(threads, [&](int rank) noexcept {
            for (const Chunk& chunk : chunks)
                forward(Team{rank, threads, &barrier}, chunk, workspaces[0], request);
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
        throw std::invalid_argument("attention: expected a batch of one sequence, got " +
                                    std::to_string(batch.sequences()));
    if (request.pooling)
        for (int s = 0; s < batch.sequences(); ++s)
            if (request.pooling->skip < 0 || request.pooling->skip >= batch.length(s))
                throw std::invalid_argument("skip=" + std::to_string(request.pooling->skip) +
                                            ": sequence " + std::to_string(s) + " has only " +
                                            std::to_string(batch.length(s)) + " positions");
}

void Encoder::forward(const Team& team, const Chunk& chunk, Workspace& work,
                      const Request& request) const {
    float* x = work.x.data();
    embedding_.forward(team, chunk, work);
    if (final_norm_ && config_.num_layers == 0) final_norm_->apply(team, x, chunk.rows(), x);
    copy_hidden(team, chunk, x, 0, request);
    if (convolution_) convolution_->forward(team, chunk, work);
    for (int layer = 0; layer < config_.num_layers; ++layer) {
        float* probabilities = nullptr;
        const auto& layers = request.attention_layers;
        const auto requested = std::find(layers.begin(), layers.end(), layer);
        if (requested != layers.end())
            probabilities = request.probabilities + (requested - layers.begin()) *
                                                        static_cast<std::ptrdiff_t>(config_.num_heads) *
                                                        chunk.rows() * chunk.rows();
        blocks_[config_.block[layer]].forward(team, chunk, work, layer, positions_, probabilities);
        if (convolution_ && layer == 0) convolution_->add(team, chunk.rows(), work);
        if (final_norm_ && layer + 1 == config_.num_layers) {
            // Needs no barrier: copy_hidden reads the rows that the same member normalized.
            final_norm_->apply(team, x, chunk.rows(), x);
        }
        copy_hidden(team, chunk, x, layer + 1, request);
    }
    team.wait();
    if (request.pooling) pool(team, kernels_, chunk, x, config_.d_model, *request.pooling);
    team.wait();
}

// Copies this member's rows into the outputs of `layer`, if the request has any.
void Encoder::copy_hidden(const Team& team, const Chunk& chunk, const float* x, int layer,
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

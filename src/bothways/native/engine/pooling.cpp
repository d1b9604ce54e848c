#include "pooling.h"

#include <algorithm>

namespace bothways {
namespace {

bool has_content(const std::uint8_t* content, int rows) {
    return content && std::any_of(content, content + rows, [](std::uint8_t c) { return c != 0; });
}

}  // namespace

void pool(const Team& team, const Kernels& kernels, const Chunk& chunk, const float* x, int d_model,
          const Pooling& pooling) {
    const Range mine = team.share(chunk.last - chunk.first);
    const std::ptrdiff_t D = d_model, modes = static_cast<std::ptrdiff_t>(pooling.modes.size());
    for (int sequence = chunk.first + mine.first; sequence < chunk.first + mine.last; ++sequence)
        for (std::ptrdiff_t m = 0; m < modes; ++m) {
            const int rows = chunk.batch.length(sequence) - pooling.skip;
            const std::uint8_t* content =
                pooling.content ? pooling.content + chunk.batch.start[sequence] + pooling.skip : nullptr;
            PoolingMode mode = pooling.modes[m];
            if (mode == PoolingMode::mean_content && !has_content(content, rows)) mode = PoolingMode::mean;
            kernels.pool(x + (chunk.row(sequence) + pooling.skip) * D, D, rows, d_model, pooling.skip,
                         mode, content, pooling.pooled + (sequence * modes + m) * D);
        }
}

}  // namespace bothways

#include "pooling.h"

namespace bothways {

void pool(const Team& team, const Kernels& kernels, const Chunk& chunk, const float* x, int d_model,
          const Pooling& pooling) {
    const Range mine = team.share(chunk.last - chunk.first);
    const std::ptrdiff_t D = d_model, modes = static_cast<std::ptrdiff_t>(pooling.modes.size());
    for (int sequence = chunk.first + mine.first; sequence < chunk.first + mine.last; ++sequence)
        for (std::ptrdiff_t m = 0; m < modes; ++m) {
            const PoolingMode mode = pooling.modes[m];
            const int skip = mode == PoolingMode::cls ? 0 : pooling.skip;
            kernels.pool(x + (chunk.row(sequence) + skip) * D, D, chunk.batch.length(sequence) - skip,
                         d_model, skip, mode, pooling.pooled + (sequence * modes + m) * D);
        }
}

}  // namespace bothways

#include "pooling.h"

namespace bothways {

void pool(const Team& team, const Kernels& kernels, const Chunk& chunk, const float* x, int d_model,
          const Pooling& pooling) {
    const Range mine = team.share(chunk.last - chunk.first);
    const std::ptrdiff_t D = d_model, modes = static_cast<std::ptrdiff_t>(pooling.modes.size());
    for (int sequence = chunk.first + mine.first; sequence < chunk.first + mine.last; ++sequence)
        for (std::ptrdiff_t m = 0; m < modes; ++m) {
            const PoolingMode mode = pooling.modes[m];
            kernels.pool(x + (chunk.row(sequence) + pooling.skip) * D, D,
                         chunk.batch.length(sequence) - pooling.skip, d_model, pooling.skip, mode,
                         pooling.pooled + (sequence * modes + m) * D);
        }
}

}  // namespace bothways

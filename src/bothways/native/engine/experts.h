// A feed-forward that is a mixture of experts: a router gives each row a probability for each expert, and the row
// is computed by the most probable ones alone. Shazeer et al. 2017, section 2.
//
// R rows (tokens of a chunk); D model width; F feed-forward width of an expert; X experts, k of them per row.
#pragma once

#include <string>
#include <vector>

#include "weights.h"
#include "workspace.h"

namespace bothways {

class Experts {
public:
    // `factor` scales the output.
    Experts(const Kernels& kernels, const EncoderConfig& config, const Weights& weights, Precision precision,
            const std::string& name, float factor);

    // out = experts(from), or out += experts(from); out may be from (R, D), if it is not work.side. All members
    // of the team call it together; it ends with a barrier.
    void forward(const Team& team, const float* from, int rows, Workspace& work, float* out,
                 Accumulate accumulate) const;

    std::size_t bytes() const;

private:
    struct Expert {
        Linear up, down;
    };
    void route(const Team& team, const float* from, int rows, Workspace& work) const;
    void choose(float* scores) const;
    void list_rows(int rows, Workspace& work) const;
    void add_bias(const Team& team, int rows, float* out, Accumulate accumulate) const;
    void apply(const Team& team, int expert, const int* rows, int count, const float* from, Workspace& work,
               float* out) const;

    const EncoderConfig& config_;
    int rows_per_pass_;
    float factor_;
    Linear router_;  // in fp32 always: experts are chosen by small differences
    std::vector<Expert> experts_;
    std::vector<float> bias_;  // scaled; of zeros if there is none
};

}  // namespace bothways

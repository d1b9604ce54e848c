// The weights by the names of `bothways.weights.layout`, as float32 arrays that someone else owns.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace bothways {

struct Tensor {
    const float* data;
    std::vector<std::size_t> shape;
};

class Weights {
public:
    explicit Weights(std::map<std::string, Tensor> tensors) : tensors_(std::move(tensors)) {}

    bool has(const std::string& name) const { return tensors_.count(name) != 0; }

    // Throws std::invalid_argument unless the weight is there in this shape: nothing that reads
    // weights may trust them.
    const float* get(const std::string& name, const std::vector<int>& shape) const {
        const auto found = tensors_.find(name);
        if (found == tensors_.end()) throw std::invalid_argument("weight '" + name + "' is missing");
        const std::vector<std::size_t>& has = found->second.shape;
        bool same = has.size() == shape.size();
        for (std::size_t i = 0; same && i < has.size(); ++i)
            same = shape[i] >= 0 && has[i] == static_cast<std::size_t>(shape[i]);
        if (!same) throw std::invalid_argument("weight '" + name + "' has the wrong shape");
        return found->second.data;
    }

    // The same, or null where the encoder has no such weight (a bias).
    const float* find(const std::string& name, const std::vector<int>& shape) const {
        return has(name) ? get(name, shape) : nullptr;
    }

private:
    std::map<std::string, Tensor> tensors_;
};

}  // namespace bothways

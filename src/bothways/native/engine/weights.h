// Weights by name, as float32 arrays in the caller's memory. The names are those of the Python layout.
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

    // Throws std::invalid_argument if the weight is missing or has another shape: the code that reads the
    // arrays relies on this check alone.
    const float* get(const std::string& name, const std::vector<int>& shape) const {
        const auto entry = tensors_.find(name);
        if (entry == tensors_.end()) throw std::invalid_argument("weight '" + name + "' is missing");
        const std::vector<std::size_t>& actual = entry->second.shape;
        bool same = actual.size() == shape.size();
        for (std::size_t i = 0; same && i < actual.size(); ++i)
            same = shape[i] >= 0 && actual[i] == static_cast<std::size_t>(shape[i]);
        if (!same) throw std::invalid_argument("weight '" + name + "' has the wrong shape");
        return entry->second.data;
    }

    // The same, or null if the encoder has no such weight (a bias).
    const float* get_optional(const std::string& name, const std::vector<int>& shape) const {
        return has(name) ? get(name, shape) : nullptr;
    }

private:
    std::map<std::string, Tensor> tensors_;
};

}  // namespace bothways

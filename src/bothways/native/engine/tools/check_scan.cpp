// Checks of the scans of stored vectors.
#include "checks.h"

namespace bothways {

namespace {

std::string shape(int rows, int width, int queries) {
    return "rows " + std::to_string(rows) + ", width " + std::to_string(width) + ", queries " +
           std::to_string(queries);
}

void check_dots(const Kernels& kernels) {
    Check check(kernels.name, "dots");
    for (const int rows : {1, 3, 4, 21})
        for (const int width : {1, 5, 16, 100, 384})
            for (const int queries : {1, 2, 3, 7}) {
                const Buffer<float> x = random_floats(static_cast<std::size_t>(rows * width), 1);
                const Buffer<float> y = random_floats(static_cast<std::size_t>(queries * width), 2);
                const int stride = rows + 5;
                Buffer<float> dots(static_cast<std::size_t>(queries * stride));
                Buffer<float> squares(static_cast<std::size_t>(rows));
                kernels.dots({x.data(), rows, width, y.data(), queries, dots.data(), stride, squares.data()});
                for (int r = 0; r < rows; ++r) {
                    double square = 0;
                    for (int i = 0; i < width; ++i) square += std::pow(double(x[r * width + i]), 2);
                    check.near(squares[r], square, 1e-5 * (1 + square), shape(rows, width, queries));
                    for (int q = 0; q < queries; ++q) {
                        double dot = 0;
                        for (int i = 0; i < width; ++i)
                            dot += double(x[r * width + i]) * double(y[q * width + i]);
                        check.near(dots[q * stride + r], dot, 1e-5 * (1 + square),
                                   shape(rows, width, queries));
                        // A row and a query alone: the same bits.
                        float alone;
                        kernels.dots({x.data() + r * width, 1, width, y.data() + q * width, 1, &alone, 1,
                                      nullptr});
                        check.equal(dots[q * stride + r], alone, shape(rows, width, queries));
                    }
                }
            }
}

void check_hamming(const Kernels& kernels) {
    Check check(kernels.name, "hamming");
    std::mt19937_64 random(1);
    for (const int words : {1, 2, 4, 6, 8, 12, 13, 16}) {
        const int rows = 9;
        std::vector<std::uint64_t> x(static_cast<std::size_t>(rows * words)), query(x.begin(), x.begin() + words);
        for (std::uint64_t& word : x) word = random();
        for (std::uint64_t& word : query) word = random();
        std::vector<std::int32_t> distances(static_cast<std::size_t>(rows));
        kernels.hamming({x.data(), rows, words, query.data(), distances.data()});
        for (int r = 0; r < rows; ++r) {
            int distance = 0;
            for (int bit = 0; bit < 64 * words; ++bit)
                distance += (x[r * words + bit / 64] ^ query[bit / 64]) >> (bit % 64) & 1;
            check.equal(distances[r], distance, "words " + std::to_string(words));
        }
    }
}

}  // namespace

void check_scan(const Kernels& kernels) {
    check_dots(kernels);
    check_hamming(kernels);
}

}  // namespace bothways

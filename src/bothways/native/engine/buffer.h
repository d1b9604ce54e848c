// Arrays for the kernels: aligned to cache lines, with readable memory beyond their end.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace bothways {

template <class T>
class Buffer {
public:
    // Kernels load whole vectors. They never use what they read beyond the end, but it must be readable.
    static constexpr std::size_t slack_bytes = 256;
    static constexpr std::align_val_t alignment{64};

    Buffer() = default;
    explicit Buffer(std::size_t size) : size_(size) {
        const std::size_t bytes = size * sizeof(T) + slack_bytes;
        data_ = static_cast<T*>(::operator new(bytes, alignment));
        std::memset(static_cast<void*>(data_ + size), 0, slack_bytes);
    }
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        Buffer(std::move(other)).swap(*this);
        return *this;
    }
    ~Buffer() { ::operator delete(data_, alignment); }

    // Grows to at least `size` elements; growing discards the contents.
    void reserve(std::size_t size) {
        if (size > size_) {
            *this = Buffer();  // free before allocating
            *this = Buffer(size);
        }
    }
    void fill_zero() { std::memset(static_cast<void*>(data_), 0, size_ * sizeof(T)); }

    T* data() { return data_; }
    const T* data() const { return data_; }
    std::size_t size() const { return size_; }
    T& operator[](std::size_t i) { return data_[i]; }
    const T& operator[](std::size_t i) const { return data_[i]; }

private:
    void swap(Buffer& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace bothways

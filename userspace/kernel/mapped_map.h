// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

enum class MapAccess : uint8_t { read, write };

// The values of a BPF_F_MMAPABLE array (kernel 5.5 and later) in this process's memory, shared with
// the programs. Holding it keeps the map alive.
class MappedMap {
  public:
    // Refuses a map of fewer than `entries` values, or of values of another size.
    static Result<MappedMap> create(const Fd& map, size_t entries, size_t value_size,
                                    MapAccess access);
    MappedMap(MappedMap&& other) noexcept
        : words_(std::exchange(other.words_, nullptr)), size_(other.size_) {}
    MappedMap& operator=(MappedMap&& other) noexcept {
        std::swap(words_, other.words_);
        std::swap(size_, other.size_);
        return *this;
    }
    MappedMap(const MappedMap&) = delete;
    MappedMap& operator=(const MappedMap&) = delete;
    ~MappedMap();

    // What lies there changes at any time: to be accessed by std::atomic_ref only, which wants no const.
    [[nodiscard]] uint64_t* words() const { return words_; }

  private:
    MappedMap(uint64_t* words, size_t size) : words_(words), size_(size) {}
    uint64_t* words_; // nullptr: moved from
    size_t size_;     // bytes
};

} // namespace linkbal

// SPDX-License-Identifier: GPL-2.0-or-later
// The values of a BPF_F_MMAPABLE array (kernel 5.5 and later) in this process's memory, shared with the
// programs. What lies there changes at any time: to be accessed by std::atomic_ref only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// A part of it, which begins with a page. Holding it keeps the map alive.
class MappedMap {
  public:
    // All values, to be read only. Refuses a map of fewer than `entries`, or of values of another size.
    static Result<MappedMap> create(const Fd& map, size_t entries, size_t value_size);
    // Bytes of it, from whole pages on, to be written as well.
    static Result<MappedMap> part(const Fd& map, size_t offset, size_t size);
    MappedMap() = default; // nothing
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

    [[nodiscard]] uint64_t* words() const { return words_; }

  private:
    static Result<MappedMap> map_range(const Fd& map, size_t offset, size_t size, int protection);
    MappedMap(uint64_t* words, size_t size) : words_(words), size_(size) {}
    uint64_t* words_ = nullptr;
    size_t size_ = 0; // bytes
};

// A few values at a time, to be written as well. The kernel puts every page of a mapping into the page table
// at once, and counts it as memory of the process: 164 MB for a cache of the default size.
class MapWindow {
  public:
    // Refuses what MappedMap::create() does.
    static Result<MapWindow> create(Fd map, size_t entries, size_t value_size);

    // The words of `count` values from `first` on; until the next call.
    [[nodiscard]] Result<uint64_t*> at(size_t first, size_t count);
    [[nodiscard]] const Fd& map() const { return map_; }

  private:
    MapWindow(Fd map, size_t value_size) : map_(std::move(map)), value_size_(value_size) {}
    Fd map_;
    size_t value_size_;
    MappedMap pages_;
};

} // namespace linkbal

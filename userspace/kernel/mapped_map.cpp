// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/mapped_map.h"

#include <cerrno>

#include <sys/mman.h>
#include <unistd.h>

#include "kernel/bpf_map.h"

namespace linkbal {

namespace {

Status check_layout(const Fd& map, size_t entries, size_t value_size) {
    const auto info = map_info(map);
    if (!info) {
        return tl::unexpected(info.error());
    }
    if (info->value_size != value_size || info->max_entries < entries) {
        return fail("the BPF map {} is another version's: run `linkbal up`", info->name);
    }
    return {};
}

} // namespace

Result<MappedMap> MappedMap::map_range(const Fd& map, size_t offset, size_t size, int protection) {
    void* memory =
        ::mmap(nullptr, size, protection, MAP_SHARED, map.get(), static_cast<off_t>(offset));
    if (memory == MAP_FAILED) {
        return map_failure(map, "mapping");
    }
    return MappedMap(static_cast<uint64_t*>(memory), size);
}

Result<MappedMap> MappedMap::create(const Fd& map, size_t entries, size_t value_size) {
    return check_layout(map, entries, value_size).and_then([&] {
        return map_range(map, 0, entries * value_size, PROT_READ);
    });
}

Result<MappedMap> MappedMap::part(const Fd& map, size_t offset, size_t size) {
    return map_range(map, offset, size, PROT_READ | PROT_WRITE);
}

MappedMap::~MappedMap() {
    if (words_ != nullptr) {
        ::munmap(words_, size_);
    }
}

Result<MapWindow> MapWindow::create(Fd map, size_t entries, size_t value_size) {
    if (auto status = check_layout(map, entries, value_size); !status) {
        return tl::unexpected(status.error());
    }
    return MapWindow(std::move(map), value_size);
}

Result<uint64_t*> MapWindow::at(size_t first, size_t count) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t begin = first * value_size_;
    const size_t offset = begin / page * page;
    auto pages = MappedMap::part(map_, offset, begin + (count * value_size_) - offset);
    if (!pages) {
        return tl::unexpected(pages.error());
    }
    pages_ = *std::move(pages);
    return pages_.words() + ((begin - offset) / sizeof(uint64_t));
}

} // namespace linkbal

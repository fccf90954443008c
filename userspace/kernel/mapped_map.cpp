// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/mapped_map.h"

#include <cerrno>

#include <sys/mman.h>

#include "kernel/bpf_map.h"

namespace linkbal {

Result<MappedMap> MappedMap::create(const Fd& map, size_t entries, size_t value_size,
                                    MapAccess access) {
    const auto info = map_info(map);
    if (!info) {
        return tl::unexpected(info.error());
    }
    if (info->value_size != value_size || info->max_entries < entries) {
        return fail("the BPF map {} is another version's: run `linkbal up`", info->name);
    }
    const size_t size = entries * value_size;
    const int protection = access == MapAccess::read ? PROT_READ : PROT_READ | PROT_WRITE;
    void* memory = ::mmap(nullptr, size, protection, MAP_SHARED, map.get(), 0);
    if (memory == MAP_FAILED) {
        return map_failure(map, "mapping");
    }
    return MappedMap(static_cast<uint64_t*>(memory), size);
}

MappedMap::~MappedMap() {
    if (words_ != nullptr) {
        ::munmap(words_, size_);
    }
}

} // namespace linkbal

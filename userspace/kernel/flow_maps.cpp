// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/flow_maps.h"

#include <utility>

#include "kernel/bpf_object.h"
#include "kernel/bpffs.h"
#include "kernel/datapath_maps.h"

namespace linkbal {

Result<Fd> open_flow_map(const std::string& directory, const char* name) {
    auto map = open_pin(fmt::format("{}/{}", directory, name));
    if (map && !*map) {
        return fail("{}/{} is missing: the datapath is not loaded", directory, name);
    }
    return map;
}

Result<std::optional<lb_settings>> fast_path_settings(const std::string& directory) {
    auto map = open_pin(fmt::format("{}/settings", directory));
    if (!map) {
        return tl::unexpected(map.error());
    }
    if (!*map) {
        return std::nullopt;
    }
    BpfObject object;
    object.maps.emplace("settings", *std::move(map));
    const auto settings = object_settings(object);
    if (!settings) {
        return fail("the datapath is another version's: run `linkbal up`");
    }
    return settings->fast_path == 0 ? std::nullopt : settings;
}

} // namespace linkbal

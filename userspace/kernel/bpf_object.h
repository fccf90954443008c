// SPDX-License-Identifier: GPL-2.0-or-later
// The embedded BPF object: loading and pinning it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "kernel/bucket_maps.h"
#include "linkbal/abi.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// A loaded set of programs and the maps that they use, by name. Holding it keeps them alive, pinned
// or not.
struct BpfObject {
    std::map<std::string, Fd, std::less<>> maps;
    std::map<std::string, Fd, std::less<>> programs;
    InnerMaps inner; // what the map `buckets` holds, as far as it was pinned and could be opened

    [[nodiscard]] bool empty() const { return maps.empty() && programs.empty(); }
};

// Identifies the object in this binary: a hash of its bytes.
uint64_t embedded_object_id();

// Loads the embedded object with `settings`. Maps of `previous` are taken over, contents and all,
// where this binary would make them the same way (reusable_maps()). Nothing is pinned or attached.
Result<BpfObject> load_object(const lb_settings& settings, const BpfObject& previous);

using MapNames = std::set<std::string, std::less<>>;
// The maps of `object` that load_object() would take over. The others may have any layout: their
// contents are not to be read.
Result<MapNames> reusable_maps(const BpfObject& object);

// What is pinned below `directory`; pins that are missing are left out.
Result<BpfObject> open_object(const std::string& directory);
// Pins everything below `directory`, in the place of what is there.
Status pin_object(const BpfObject& object, const std::string& directory);
// Unpins everything below `directory`.
Status unpin_object(const std::string& directory);

// The settings that the programs of `object` were loaded with; nullopt if it has another ABI.
std::optional<lb_settings> object_settings(const BpfObject& object);
// True if nothing is missing and the programs use the maps that are here. Inner maps are another
// matter: a former version did not pin them.
bool is_complete(const BpfObject& object);

} // namespace linkbal

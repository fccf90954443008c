// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/service.h"

#include <algorithm>

namespace linkbal {

namespace {

const RememberedUplink* remembered(const Memory& memory, const Uplink& uplink) {
    const auto found = std::ranges::find_if(memory.uplinks, [&](const RememberedUplink& known) {
        return known.name == uplink.name && known.id == uplink.id;
    });
    return found == memory.uplinks.end() ? nullptr : &*found;
}

template <typename Predicate>
std::vector<Uplink*> lowest_tier(std::vector<Uplink>& uplinks, Predicate eligible) {
    uint32_t lowest = UINT32_MAX;
    for (const Uplink& uplink : uplinks) {
        lowest = eligible(uplink) ? std::min(lowest, uplink.tier) : lowest;
    }
    std::vector<Uplink*> chosen;
    for (Uplink& uplink : uplinks) {
        if (eligible(uplink) && uplink.tier == lowest) {
            chosen.push_back(&uplink);
        }
    }
    return chosen;
}

// Nobody is good: what served last has been good the longest, and without carrier nothing goes at all.
std::vector<Uplink*> last_resort(std::vector<Uplink>& uplinks, const Memory& memory,
                                 size_t family) {
    const auto could = [&](const Uplink& uplink) {
        return uplink.paths.at(family) && uplink.ready && !uplink.retired && !uplink.drained;
    };
    std::vector<Uplink*> chosen;
    for (Uplink& uplink : uplinks) {
        const RememberedUplink* known = remembered(memory, uplink);
        if (could(uplink) && uplink.carrier && known != nullptr && known->served.at(family)) {
            chosen.push_back(&uplink);
        }
    }
    if (chosen.empty()) {
        chosen = lowest_tier(uplinks,
                             [&](const Uplink& uplink) { return could(uplink) && uplink.carrier; });
    }
    return chosen.empty() ? lowest_tier(uplinks, could) : chosen;
}

bool is_back(const Uplink& uplink, const Memory& memory, size_t family) {
    const RememberedUplink* known = remembered(memory, uplink);
    return uplink.serves.at(family) && known != nullptr && !known->carried.at(family);
}

// It served, could go on, and does not because a lower tier is back.
bool steps_back(const Uplink& uplink, const RememberedUplink& known,
                const std::vector<Uplink>& uplinks, const Memory& memory, size_t family) {
    return known.served.at(family) && !uplink.serves.at(family) && !uplink.drained &&
           !uplink.retired && std::ranges::any_of(uplinks, [&](const Uplink& other) {
               return other.tier < uplink.tier && is_back(other, memory, family);
           });
}

} // namespace

void choose_service(std::vector<Uplink>& uplinks, const FailoverConfig& failover,
                    const Memory& memory, const Conditions& conditions) {
    for (const Family of : families) {
        const auto family = static_cast<size_t>(of);
        for (Uplink& uplink : uplinks) {
            uplink.carries.at(family) = uplink.paths.at(family) && uplink.ready &&
                                        conditions.of(uplink.name).good.at(family);
            uplink.serves.at(family) = false;
        }
        auto chosen = lowest_tier(uplinks, [&](const Uplink& uplink) {
            return uplink.carries.at(family) && !uplink.retired && !uplink.drained;
        });
        if (chosen.empty() && failover.all_down == AllDown::last) {
            chosen = last_resort(uplinks, memory, family);
        }
        for (Uplink* uplink : chosen) {
            uplink->carries.at(family) = true;
            uplink->serves.at(family) = true;
        }
    }
}

std::vector<EndedService> ended_service(const std::vector<Uplink>& uplinks,
                                        const FailoverConfig& failover, const Memory& memory) {
    std::vector<EndedService> ended;
    for (const Uplink& uplink : uplinks) {
        const RememberedUplink* known = remembered(memory, uplink);
        for (const Family family : families) {
            const auto index = static_cast<size_t>(family);
            if (known == nullptr || !known->carried.at(index)) {
                continue;
            }
            const bool moves = failover.on_return == OnReturn::move &&
                               steps_back(uplink, *known, uplinks, memory, index);
            if (!uplink.carries.at(index) || moves) {
                ended.push_back({uplink.name, uplink.id, family});
            }
        }
    }
    return ended;
}

} // namespace linkbal

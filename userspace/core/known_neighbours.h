// SPDX-License-Identifier: GPL-2.0-or-later
// Which link-layer address is behind an address on a link, so that a change can be told from the many
// things that the kernel says of neighbours: pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "core/address.h"

namespace linkbal {

using LinkAddress = std::array<uint8_t, 6>;

struct NeighbourNews {
    uint32_t interface = 0; // index
    IpAddress address = IpAddress::any(Family::ipv4);
    std::optional<LinkAddress> link_address{}; // nullopt: it has none any more
};

// The kernel forgets who was idle; here they stay, so that who comes back as somebody else is noticed.
// Room is made by leaving behind who has not been heard of for the longest, a half at a time.
class KnownNeighbours {
  public:
    static constexpr size_t most = 16384;

    // True if it is not what was known. Who was not known has changed nothing.
    bool changes(const NeighbourNews& news) {
        const Key key{news.interface, news.address};
        const auto known = take(key);
        if (news.link_address) {
            keep(key, *news.link_address);
        }
        return known && known != news.link_address;
    }
    void clear() {
        recent_.clear();
        older_.clear();
    }
    [[nodiscard]] size_t size() const { return recent_.size() + older_.size(); }

  private:
    using Key = std::pair<uint32_t, IpAddress>;
    using Neighbours = std::map<Key, LinkAddress>;

    std::optional<LinkAddress> take(const Key& key) {
        for (Neighbours* neighbours : {&recent_, &older_}) {
            if (const auto found = neighbours->extract(key); !found.empty()) {
                return found.mapped();
            }
        }
        return std::nullopt;
    }
    void keep(const Key& key, const LinkAddress& address) {
        if (recent_.size() >= most / 2) {
            older_ = std::exchange(recent_, {});
        }
        recent_.emplace(key, address);
    }

    Neighbours recent_;
    Neighbours older_;
};

} // namespace linkbal

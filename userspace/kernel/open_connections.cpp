// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/open_connections.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <utility>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>

#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/datapath.h"
#include "kernel/flow_table.h"
#include "kernel/nfnetlink.h"
#include "kernel/tracked_connection.h"

namespace linkbal {

namespace {

// enum tcp_conntrack, in lower case as every word of ours.
constexpr std::array<std::string_view, 10> tcp_states{
    "none",       "syn_sent", "syn_recv",  "established", "fin_wait",
    "close_wait", "last_ack", "time_wait", "close",       "syn_sent2"};

std::string_view state_of(const TrackedConnection& tracked) {
    if (tracked.tcp_state && *tracked.tcp_state < tcp_states.size()) {
        return tcp_states.at(*tracked.tcp_state);
    }
    return (tracked.status & IPS_SEEN_REPLY) != 0 ? "replied" : "unreplied";
}

// What the flow cache adds to what conntrack knows.
class Cached {
  public:
    static Result<Cached> open(const std::string& directory) {
        auto table = FlowTable::open(directory);
        if (!table) {
            return tl::unexpected(table.error());
        }
        Cached cached;
        if (!*table) {
            return cached;
        }
        cached.table_ = *std::move(table);
        auto epochs = cached.table_->epochs();
        auto tick = cached.table_->tick();
        if (!epochs || !tick) {
            return tl::unexpected(epochs ? tick.error() : epochs.error());
        }
        cached.epochs_ = *epochs;
        cached.tick_ = *tick;
        auto read = cached.read_link_headers(directory);
        return read ? Result<Cached>(std::move(cached)) : tl::unexpected(read.error());
    }
    void add(const TrackedConnection& tracked, OpenConnection& connection) const {
        if (table_) {
            add(tracked.original, connection);
            add(tracked.reply, connection);
        }
    }

  private:
    // The cache counts where a packet comes in, with the header that it has there.
    void add(const FlowTuple& tuple, OpenConnection& connection) const {
        const auto flow = table_->find(tuple);
        if (!flow) {
            return;
        }
        const uint64_t headers =
            flow->packets * link_headers_.at(flow->ingress % link_headers_.size());
        connection.packets += flow->packets;
        connection.bytes += flow->bytes - std::min(flow->bytes, headers);
        connection.offloaded |= FlowTable::is_running(flow->lease, tick_) &&
                                flow->lease.epoch == static_cast<uint16_t>(epochs_[flow->uplink]);
    }
    Status read_link_headers(const std::string& directory) {
        const auto map = open_pin(fmt::format("{}/interfaces", directory));
        if (!map) {
            return tl::unexpected(map.error());
        }
        for (uint32_t slot = 0; *map && slot < LB_INTERFACES; ++slot) {
            const auto interface = map_lookup<lb_interface>(*map, slot);
            if (!interface) {
                return tl::unexpected(interface.error());
            }
            const bool ethernet = interface->value_or(lb_interface{}).ethernet != 0;
            link_headers_.at(slot) = ethernet ? ETH_HLEN : 0;
        }
        return {};
    }
    std::optional<FlowTable> table_; // none: there is no fast path
    std::array<uint32_t, LB_UPLINK_IDS> epochs_{};
    uint32_t tick_ = 0;
    std::array<uint8_t, LB_INTERFACES> link_headers_{}; // bytes, by slot
};

// nullopt: neither a name nor an id.
std::optional<uint32_t> id_of(const std::string& uplink,
                              const std::map<uint32_t, std::string>& names) {
    for (const auto& [id, name] : names) {
        if (name == uplink) {
            return id;
        }
    }
    uint32_t id = 0;
    const char* end = uplink.data() + uplink.size();
    const auto [rest, error] = std::from_chars(uplink.data(), end, id);
    const bool good = error == std::errc() && rest == end && id > 0 && id < LB_UPLINK_IDS;
    return good ? std::optional(id) : std::nullopt;
}

OpenConnection connection_of(const TrackedConnection& tracked, uint32_t id) {
    return {.opener = tracked.original,
            .nat_source = tracked.reply.destination,
            .nat_port = tracked.reply.destination_port,
            .uplink = static_cast<uint8_t>(id),
            .offloaded = false,
            .state = state_of(tracked),
            .packets = tracked.packets,
            .bytes = tracked.bytes};
}

// The kernel leaves out what has another mark; older ones than 3.9 would not.
NfnetlinkMessage dump_request(uint32_t mark, uint32_t mask, bool one) {
    return make_message(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, AF_UNSPEC, NLM_F_DUMP,
                        [&](nlmsghdr* m) {
                            if (one) {
                                mnl_attr_put_u32(m, CTA_MARK, htonl(mark));
                                mnl_attr_put_u32(m, CTA_MARK_MASK, htonl(mask));
                            }
                        });
}

Status read_conntrack(uint32_t mask, std::optional<uint32_t> only, const Cached& cached,
                      std::vector<OpenConnection>& found) {
    auto socket = NfnetlinkSocket::open();
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    const int shift = std::countr_zero(mask);
    const auto consider = [&](const nlmsghdr& message) {
        const auto tracked = tracked_connection_of(message);
        const uint32_t id = tracked ? (tracked->mark & mask) >> shift : 0;
        if (id == LB_NO_UPLINK || id != only.value_or(id)) {
            return;
        }
        cached.add(*tracked, found.emplace_back(connection_of(*tracked, id)));
    };
    const auto request = dump_request(only.value_or(0) << shift, mask, only.has_value());
    const auto done = socket->request(request, consider);
    if (!done && done.error().code != EINTR) { // changed meanwhile: as it always does
        return tl::unexpected(done.error().within("read connections"));
    }
    return {};
}

} // namespace

Result<OpenConnections> read_open_connections(const std::string& instance,
                                              const std::optional<std::string>& uplink) {
    if (auto visible = require_visible_bpffs(); !visible) {
        return tl::unexpected(visible.error());
    }
    const Datapath datapath(instance);
    const auto loaded = datapath.read();
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    if (!*loaded || (*loaded)->state.mark_mask == 0) {
        return OpenConnections{};
    }
    OpenConnections open;
    for (const DatapathUplink& known : (*loaded)->state.uplinks) {
        open.uplinks.emplace(known.id, known.name);
    }
    const auto only = uplink ? id_of(*uplink, open.uplinks) : std::nullopt;
    if (uplink && !only) {
        return fail("there is no uplink {}", *uplink);
    }
    const auto cached = Cached::open(datapath.directory());
    if (!cached) {
        return tl::unexpected(cached.error());
    }
    const uint32_t mask = (*loaded)->state.mark_mask;
    if (auto read = read_conntrack(mask, only, *cached, open.connections); !read) {
        return tl::unexpected(read.error());
    }
    return open;
}

} // namespace linkbal

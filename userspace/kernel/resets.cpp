// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/resets.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <vector>

#include "kernel/conntrack.h"
#include "kernel/dead_set.h"
#include "kernel/provocation.h"
#include "kernel/strays.h"
#include "kernel/tcp_connections.h"

namespace linkbal {

namespace {

// ENFILE: a set would grow beyond its size.
Status add_dead(NfnetlinkSocket& socket, const std::vector<NftMessage>& messages) {
    const auto refusals = socket.transact(nft_batch(messages, std::nullopt));
    if (!refusals) {
        return tl::unexpected(refusals.error());
    }
    return refusals->empty() ? Status() : Status(refused(refusals->front(), "nftables"));
}

// Collects and announces; what goes wrong is noted and leaves nobody to provoke.
std::vector<TcpConnection> prepare_resets(const std::string& instance, uint32_t mark, uint32_t mask,
                                          std::optional<Family> family, EndedConnections& ended) {
    auto found = tcp_connections_by_mark(mark, mask, most_resets);
    if (!found) {
        ended.trouble = found.error();
        return {};
    }
    std::erase_if(found->connections, [&](const TcpConnection& connection) {
        return family && connection.client.family() != *family;
    });
    ended.left_out = found->left_out;
    if (auto done = announce_dead(instance, found->connections); !done) {
        ended.trouble = done.error();
        return {};
    }
    ended.announced = found->connections.size();
    return std::move(found->connections);
}

} // namespace

Status announce_dead(const std::string& table, std::span<const TcpConnection> connections) {
    if (connections.empty()) {
        return {};
    }
    auto socket = NfnetlinkSocket::open();
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    auto messages = dead_element_messages(table, connections);
    auto status = add_dead(*socket, messages);
    if (!status && status.error().code == ENFILE) {
        auto afresh = dead_flush_messages(table);
        std::ranges::move(messages, std::back_inserter(afresh));
        status = add_dead(*socket, afresh);
    }
    return status ? status
                  : Status(tl::unexpected(status.error().within(
                        fmt::format("announce dead connections in table inet {}", table))));
}

Result<EndedConnections> end_connections(const std::string& instance, uint32_t mark, uint32_t mask,
                                         std::optional<Family> family, bool reset) {
    EndedConnections ended;
    const auto clients =
        reset ? prepare_resets(instance, mark, mask, family, ended) : std::vector<TcpConnection>();
    if (auto deleted = delete_by_mark(mark, mask, family); !deleted) {
        return tl::unexpected(deleted.error());
    }
    const auto sent = provoke(clients);
    ended.provoked = sent.value_or(0);
    if (!sent) {
        ended.trouble = sent.error();
    }
    return ended;
}

Result<size_t> reset_clients(const std::string& instance,
                             std::span<const TcpConnection> connections) {
    if (auto announced = announce_dead(instance, connections); !announced) {
        return tl::unexpected(announced.error());
    }
    if (auto deleted = delete_strays(connections); !deleted) {
        return tl::unexpected(deleted.error());
    }
    return provoke(connections);
}

} // namespace linkbal

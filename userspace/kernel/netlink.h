// SPDX-License-Identifier: GPL-2.0-or-later
// Netlink messages as values, and the one socket that sends them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <libmnl/libmnl.h>

#include "core/address.h"
#include "util/result.h"

namespace linkbal {

// A request that has not been sent: header, family header and attributes in one buffer.
class NetlinkMessage {
  public:
    // `flags` without NLM_F_REQUEST and NLM_F_ACK: the socket adds what it needs.
    template <typename FamilyHeader>
    NetlinkMessage(uint16_t type, uint16_t flags, const FamilyHeader& family_header)
        : NetlinkMessage(type, flags, &family_header, sizeof(family_header)) {
        static_assert(std::is_trivially_copyable_v<FamilyHeader>);
    }

    void put(uint16_t attribute, uint8_t value);
    void put(uint16_t attribute, uint32_t value);
    void put(uint16_t attribute, std::string_view text); // zero-terminated on the wire
    void put(uint16_t attribute, const IpAddress& address);
    void put(uint16_t attribute, std::span<const uint8_t> bytes);
    // The attribute that `body` fills; nested attributes and raw structs alike.
    void nest(uint16_t attribute, const std::function<void(NetlinkMessage&)>& body);
    // Raw bytes in the middle of a nest (struct rtnexthop); patched by offset later if need be.
    void append(const void* data, size_t size);

    [[nodiscard]] nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }
    [[nodiscard]] const nlmsghdr* header() const {
        return reinterpret_cast<const nlmsghdr*>(buffer_.data());
    }

  private:
    NetlinkMessage(uint16_t type, uint16_t flags, const void* family_header, size_t size);
    std::vector<uint64_t> buffer_; // aligned for the structs inside
};

class NetlinkSocket {
  public:
    // `protocol` is NETLINK_ROUTE, NETLINK_NETFILTER ...
    static Result<NetlinkSocket> open(int protocol);

    // What the kernel's multicast messages name as the doer of what was requested here.
    [[nodiscard]] uint32_t port() const { return mnl_socket_get_portid(socket_.get()); }

    // Sends and waits for the kernel's answer. Errors carry `what` and the kernel's own words
    // (extended ack, kernel 4.12 and later) and the errno as code.
    Status request(NetlinkMessage message, std::string_view what);
    // Sends a dump request and calls `handle` for every message of the answer. A dump that changed
    // under the reader (NLM_F_DUMP_INTR) is read again from the start after `restart()`.
    Status dump(const NetlinkMessage& request, std::string_view what,
                const std::function<void(const nlmsghdr*)>& handle,
                const std::function<void()>& restart);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    explicit NetlinkSocket(mnl_socket* socket) : socket_(socket) {}
    Status send(NetlinkMessage& message, uint16_t flags, std::string_view what);
    struct DumpPart {
        bool done = false;
        bool interrupted = false;
    };
    Result<DumpPart> read_dump(std::string_view what,
                               const std::function<void(const nlmsghdr*)>& handle);

    std::unique_ptr<mnl_socket, Close> socket_;
    uint32_t sequence_ = 0;
};

} // namespace linkbal

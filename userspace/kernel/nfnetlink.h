// SPDX-License-Identifier: GPL-2.0-or-later
// A socket to the kernel's netfilter subsystems (nftables, ctnetlink) and messages for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <libmnl/libmnl.h>

#include "util/result.h"

namespace linkbal {

// One netlink message with its header, as it goes over the socket.
using NfnetlinkMessage = std::vector<uint8_t>;

inline nlmsghdr* header(NfnetlinkMessage& message) {
    return reinterpret_cast<nlmsghdr*>(message.data());
}
inline const nlmsghdr* header(const NfnetlinkMessage& message) {
    return reinterpret_cast<const nlmsghdr*>(message.data());
}

template <typename Each>
void for_each_attribute_until(const nlattr* attribute, const void* end, Each each) {
    const auto left = [&] {
        return static_cast<int>(static_cast<const char*>(end) -
                                reinterpret_cast<const char*>(attribute));
    };
    for (; mnl_attr_ok(attribute, left()); attribute = mnl_attr_next(attribute)) {
        each(attribute);
    }
}

// The attributes behind a fixed part of `offset` bytes: sizeof(nfgenmsg), sizeof(nlmsgerr).
template <typename Each>
void for_each_attribute(const nlmsghdr& message, size_t offset, Each each) {
    for_each_attribute_until(
        static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, offset)),
        mnl_nlmsg_get_payload_tail(&message), each);
}

// Those inside a nest.
template <typename Each>
void for_each_nested(const nlattr& nest, Each each) {
    const auto* first = static_cast<const char*>(mnl_attr_get_payload(&nest));
    for_each_attribute_until(reinterpret_cast<const nlattr*>(first),
                             first + mnl_attr_get_payload_len(&nest), each);
}

// The attribute of a netfilter message, or nullptr.
const nlattr* find_attribute(const nlmsghdr& message, uint16_t type);

// Lets `fill` put attributes behind a netfilter header (subsystem and type, address family, flags).
// `room` bytes must be enough: libmnl's and libnftnl's writers check nothing.
NfnetlinkMessage make_message(uint8_t subsystem, uint8_t type, uint8_t family, uint16_t flags,
                              const std::function<void(nlmsghdr*)>& fill = {}, size_t room = 4096);

// What the kernel says to a message that it refuses.
struct KernelRefusal {
    uint32_t sequence = 0;
    int code = 0;      // errno, positive
    std::string words; // the extended acknowledgement's text; empty: it had none
};

class NfnetlinkSocket {
  public:
    static Result<NfnetlinkSocket> open();

    // Sends one request and calls `each` for every message of the answer. Error EINTR: the kernel's
    // tables changed during a dump, all of which `each` has seen. ENOBUFS: answers were lost.
    Status request(NfnetlinkMessage message, const std::function<void(const nlmsghdr&)>& each = {});

    // Sends messages that are one transaction, and returns the kernel's refusals. The kernel works
    // on netfilter messages within the sending call: when it returns, all there is to read is
    // there.
    Result<std::vector<KernelRefusal>> transact(std::span<const uint8_t> messages);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    explicit NfnetlinkSocket(mnl_socket* socket) : socket_(socket) {}

    Status send(std::span<const uint8_t> bytes);
    Result<std::span<const uint8_t>> receive(int flags);
    // How the answer to the last request ends; empty: it goes on.
    std::optional<Status> read_answer(std::span<const uint8_t> bytes, bool& interrupted,
                                      const std::function<void(const nlmsghdr&)>& each) const;

    std::unique_ptr<mnl_socket, Close> socket_;
    std::vector<uint8_t> buffer_ = std::vector<uint8_t>(64 * 1024);
    uint32_t sequence_ = 0;
};

// "what: words: strerror", with the capability's name where it is missing.
tl::unexpected<Error> refused(const KernelRefusal& refusal, std::string_view what);

} // namespace linkbal

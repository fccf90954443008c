// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/link_details.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>

#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kernel/netlink_attributes.h"
#include "kernel/sysctl.h"
#include "util/fd.h"

namespace linkbal {

namespace {

// linux/netdev.h, which came with the family in 6.3 and is not among the headers of distributions that
// began before.
constexpr auto netdev_family = "netdev";
constexpr uint8_t netdev_cmd_dev_get = 1;
constexpr uint16_t netdev_a_dev_ifindex = 1;
constexpr uint16_t netdev_a_dev_xdp_features = 3;
constexpr uint64_t netdev_xdp_act_redirect = 2;
constexpr uint64_t netdev_xdp_act_ndo_xmit = 4;

using XdpFeatures = std::map<uint32_t, uint64_t>; // by ifindex

NetlinkMessage generic_message(uint16_t family, uint8_t command) {
    const genlmsghdr header{.cmd = command, .version = 1, .reserved = 0};
    return {family, 0, header};
}

// 0: the kernel has no such family.
Result<uint16_t> find_family(NetlinkSocket& socket, std::string_view name) {
    uint16_t id = 0;
    const auto status = socket.dump(
        generic_message(GENL_ID_CTRL, CTRL_CMD_GETFAMILY), "look for a generic netlink family",
        [&](const nlmsghdr* message) {
            const Attributes attributes(message, sizeof(genlmsghdr));
            const nlattr* number = attributes.find(CTRL_ATTR_FAMILY_ID);
            if (number != nullptr && attributes.text(CTRL_ATTR_FAMILY_NAME) == name) {
                id = mnl_attr_get_u16(number);
            }
        },
        [] {});
    return status ? Result<uint16_t>(id) : tl::unexpected(status.error());
}

// Empty: the kernel doesn't tell.
Result<std::optional<XdpFeatures>> read_xdp_features() {
    auto socket = NetlinkSocket::open(NETLINK_GENERIC);
    const auto family = socket ? find_family(*socket, netdev_family)
                               : Result<uint16_t>(tl::unexpected(socket.error()));
    if (!family) {
        return tl::unexpected(family.error());
    }
    if (*family == 0) {
        return std::nullopt;
    }
    XdpFeatures features;
    const auto status = socket->dump(
        generic_message(*family, netdev_cmd_dev_get), "ask what XDP can do",
        [&](const nlmsghdr* message) {
            const Attributes attributes(message, sizeof(genlmsghdr));
            if (const nlattr* value = attributes.find(netdev_a_dev_xdp_features)) {
                features[attributes.u32(netdev_a_dev_ifindex)] = mnl_attr_get_u64(value);
            }
        },
        [&] { features.clear(); });
    return status ? Result<std::optional<XdpFeatures>>(features) : tl::unexpected(status.error());
}

Status read_qdiscs(NetlinkSocket& socket, std::vector<Interface>& interfaces) {
    const auto add = [&](const nlmsghdr* message) {
        const auto* info = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
        const auto owner = std::ranges::find(interfaces, static_cast<uint32_t>(info->tcm_ifindex),
                                             &Interface::index);
        // TC_H_INGRESS is also where clsact says that it is.
        if (owner != interfaces.end() && info->tcm_parent != TC_H_INGRESS) {
            owner->qdiscs.push_back(Attributes(message, sizeof(*info)).text(TCA_KIND));
        }
    };
    tcmsg query{};
    query.tcm_family = AF_UNSPEC;
    return socket.dump({RTM_GETQDISC, 0, query}, "read qdiscs", add, [&] {
        for (Interface& interface : interfaces) {
            interface.qdiscs.clear();
        }
    });
}

// Empty where there is none, or where it does not say.
std::string driver_of(const std::string& interface) {
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    ifreq request{};
    std::copy_n(interface.c_str(), std::min<size_t>(interface.size(), IFNAMSIZ - 1),
                std::begin(request.ifr_name));
    request.ifr_data = reinterpret_cast<char*>(&info);
    const bool told = socket && ioctl(socket.get(), SIOCETHTOOL, &request) == 0;
    return told ? static_cast<const char*>(info.driver) : "";
}

bool has(const XdpFeatures& features, uint32_t ifindex, uint64_t feature) {
    const auto found = features.find(ifindex);
    return found != features.end() && (found->second & feature) != 0;
}

} // namespace

Status read_link_details(NetlinkSocket& route_socket, std::vector<Interface>& interfaces) {
    const auto qdiscs = read_qdiscs(route_socket, interfaces);
    const auto features = read_xdp_features();
    if (!qdiscs || !features) {
        return qdiscs ? Status(tl::unexpected(features.error())) : qdiscs;
    }
    for (Interface& interface : interfaces) {
        interface.mtu[1] = read_sysctl_number(fmt::format("net/ipv6/conf/{}/mtu", interface.name))
                               .value_or(interface.mtu[1]);
        if (*features) {
            interface.xdp.redirects = has(**features, interface.index, netdev_xdp_act_redirect);
            interface.xdp.receives = has(**features, interface.index, netdev_xdp_act_ndo_xmit);
        }
        if (!interface.xdp.redirects && interface.kind.empty()) {
            interface.driver = driver_of(interface.name);
        }
    }
    return {};
}

Result<bool> receives_redirects(uint32_t ifindex) {
    const auto features = read_xdp_features();
    if (!features) {
        return tl::unexpected(features.error());
    }
    return !*features || has(**features, ifindex, netdev_xdp_act_ndo_xmit);
}

} // namespace linkbal

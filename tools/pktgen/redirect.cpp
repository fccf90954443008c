// SPDX-License-Identifier: GPL-2.0-or-later
#include "redirect.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/ether.h>

#include <redirect.skel.h>

namespace linkbal::pktgen {

namespace {

using Skeleton = std::unique_ptr<redirect_bpf, decltype(&redirect_bpf__destroy)>;

Status add_device(redirect_bpf* skeleton, uint32_t way, const std::string& device) {
    const uint32_t ifindex = ::if_nametoindex(device.c_str());
    if (ifindex == 0 ||
        bpf_map_update_elem(bpf_map__fd(skeleton->maps.devices), &way, &ifindex, 0) != 0) {
        return fail_errno(errno, "device " + device);
    }
    return {};
}

} // namespace

Result<FarEnd> FarEnd::parse(const std::string& text) {
    const auto comma = text.find(',');
    ether_addr address{};
    if (comma == std::string::npos ||
        ::ether_aton_r(text.c_str() + comma + 1, &address) == nullptr) {
        return fail("'{}': expected DEVICE,MAC", text);
    }
    FarEnd far_end{text.substr(0, comma), {}};
    std::copy_n(address.ether_addr_octet, far_end.mac.size(), far_end.mac.begin());
    return far_end;
}

Status redirect(const Port& port, const std::vector<FarEnd>& far_ends) {
    const auto ifindex = enter(port);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    const Skeleton skeleton(redirect_bpf__open(), redirect_bpf__destroy);
    if (!skeleton) {
        return fail_errno(errno, "opening the redirector");
    }
    if (far_ends.size() != std::size(skeleton->rodata->far_macs)) {
        return fail("redirects to {} devices, not {}", std::size(skeleton->rodata->far_macs),
                    far_ends.size());
    }
    for (size_t way = 0; way < far_ends.size(); ++way) {
        std::copy(far_ends[way].mac.begin(), far_ends[way].mac.end(),
                  skeleton->rodata->far_macs[way]);
    }
    if (const int error = redirect_bpf__load(skeleton.get()); error != 0) {
        return fail_errno(-error, "loading the redirector");
    }
    for (uint32_t way = 0; way < far_ends.size(); ++way) {
        if (auto status = add_device(skeleton.get(), way, far_ends[way].device); !status) {
            return status;
        }
    }
    // Not a link, which would end with this process.
    const int error =
        bpf_xdp_attach(static_cast<int>(*ifindex), bpf_program__fd(skeleton->progs.redirect),
                       XDP_FLAGS_DRV_MODE | XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr);
    if (error != 0) {
        return fail_errno(-error, "attaching the redirector to " + port.device);
    }
    return {};
}

} // namespace linkbal::pktgen

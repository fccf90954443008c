// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel parameters below /proc/sys of this network namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/gateway_state.h"
#include "util/result.h"

namespace linkbal {

// The value without its final newline; empty where the kernel has no such parameter.
std::optional<std::string> read_sysctl(const std::string& key);
// Empty also where the value does not begin with a number.
std::optional<uint32_t> read_sysctl_number(const std::string& key);
Status write_sysctl(const std::string& key, const std::string& value);

// Parameters that change together with `key` when it is set, by the kernel itself:
// net/ipv4/ip_forward and net/ipv6/conf/all/forwarding set every interface's, and the IPv4 one
// redirects too (inet_forward_change() in net/ipv4/devinet.c, addrconf_fixup_forwarding() in
// net/ipv6/addrconf.c). With their present values, so that they can be put back afterwards.
std::vector<Sysctl> side_effects_of(const std::string& key);

} // namespace linkbal

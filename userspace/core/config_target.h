// SPDX-License-Identifier: GPL-2.0-or-later
// How the targets of probes are spelled.
#pragma once

#include "core/toml_reader.h"

namespace linkbal {

// "icmp"
[[nodiscard]] std::string_view probe_name(ProbeKind kind);

[[nodiscard]] ValueKind<ProbeKind> probe_kind();

// icmp: "ADDRESS"; tcp: "ADDRESS:PORT"; dns: either; http: "http://ADDRESS[:PORT][/PATH]". An IPv6
// address with a port is in brackets, as is every one of http. "gateway" can take its place.
// `kind` is not none.
[[nodiscard]] ValueKind<ProbeTarget> probe_target(ProbeKind kind);

} // namespace linkbal

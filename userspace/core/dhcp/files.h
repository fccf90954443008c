// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration of the servers that do what [dhcp] says. Pure: `linkbal dhcp` writes the files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/facts.h"

namespace linkbal {

// What the first line of every file says, behind the sign of a comment in its language.
inline constexpr std::string_view dhcp_signature =
    "Written by `linkbal dhcp`: changes belong in the configuration of linkbal.";

struct DhcpFile {
    std::string path;
    std::string text;
    CommandWords checker; // the file's path is to be its last word
    std::string package;  // that has the checker
    std::string service;  // that reads the file when it starts
};

// At least one. `config` has a [dhcp] section and was accepted, also by check_dhcp_system().
[[nodiscard]] std::vector<DhcpFile> dhcp_files(const Config& config, const Facts& facts);

// Whether the text of a file is our work.
[[nodiscard]] bool is_signed(std::string_view text);

} // namespace linkbal

// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration mistakes as data: a text, and what is said about it.
#pragma once

#include <string>
#include <vector>

#include "core/config_file.h"
#include "support/catch.h"

namespace linkbal::test {

// Lines 1 to 5 of most cases: the least that is a configuration.
inline const std::string least = "[lan]\n"
                                 "interfaces = [\"eth0\"]\n"
                                 "[[uplink]]\n"
                                 "name = \"velox1\"\n"
                                 "interface = \"eth1\"\n";

struct ConfigCase {
    std::string text;
    std::vector<std::string> errors; // "LINE:COLUMN: message"
};

inline std::vector<std::string> lines_of(const std::vector<ConfigError>& errors) {
    std::vector<std::string> lines;
    for (const ConfigError& error : errors) {
        lines.push_back(error.str().substr(error.file.size() + 1));
    }
    return lines;
}

inline std::vector<std::string> parse_errors(const std::string& text) {
    const auto config = parse_config(text, "f.toml");
    return config ? std::vector<std::string>{} : lines_of(config.error());
}

inline void check_cases(const std::vector<ConfigCase>& cases) {
    for (const ConfigCase& item : cases) {
        INFO(item.text);
        CHECK(parse_errors(item.text) == item.errors);
    }
}

inline Config good_config(const std::string& text) {
    const auto config = parse_config(text, "f.toml");
    INFO(text << (config ? "" : config.error().front().str()));
    REQUIRE(config);
    return *config;
}

} // namespace linkbal::test

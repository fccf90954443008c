// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_helpers.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "core/config_values.h"
#include "core/services.h"
#include "core/tracking_helpers.h"

namespace linkbal {

namespace {

std::span<const TrackingHelper> helpers_of(std::string_view key) {
    const auto found = std::ranges::equal_range(tracking_helpers, key, {}, &TrackingHelper::key);
    return {found.begin(), found.end()};
}

// Reads key by key and sees to it that no port has two helpers: a connection has one at most.
class HelperReader {
  public:
    HelperReader(TableReader& table, std::vector<HelperConfig>& helpers)
        : table_(&table), helpers_(&helpers) {}

    void read(std::string_view key) {
        const auto helpers = helpers_of(key);
        // An array can't say which of two protocols its ports are of.
        const bool is_one_protocol = helpers.front().port == helpers.back().port;
        std::vector<uint32_t> ports;
        bool on = false;
        if (is_one_protocol && table_->is_array(key)) {
            table_->list(key, ports, own_port(helpers));
            on = !ports.empty();
        } else {
            table_->optional(key, on,
                             usual_ports(helpers, is_one_protocol
                                                      ? "true, false or an array of ports"
                                                      : "true or false"));
        }
        if (on) {
            add(helpers, ports);
        }
    }

  private:
    using Helpers = std::span<const TrackingHelper>;
    using Endpoint = std::pair<Transport, uint16_t>;

    // What is wrong if another key, or this one, already has the port.
    std::optional<std::string> claim(Helpers helpers, std::optional<uint32_t> port) {
        for (const TrackingHelper& helper : helpers) {
            const Endpoint endpoint{helper.transport, port.value_or(helper.port)};
            const auto [owner, fresh] = owners_.try_emplace(endpoint, helper.key);
            if (!fresh) {
                return fmt::format(
                    "expected ports that have no helper yet, found {}, which {} has",
                    service_text({endpoint.first, {endpoint.second, endpoint.second}}),
                    owner->second);
            }
        }
        return std::nullopt;
    }

    ValueKind<bool> usual_ports(Helpers helpers, const std::string& expected) {
        return {expected, [this, helpers, expected](const toml::node& node) -> Parsed<bool> {
                    const auto on = boolean().parse(node);
                    if (!on) {
                        return mismatch(expected, node);
                    }
                    const auto wrong = *on ? claim(helpers, {}) : std::nullopt;
                    return wrong ? Parsed<bool>(tl::unexpected(*wrong)) : on;
                }};
    }

    ValueKind<uint32_t> own_port(Helpers helpers) {
        const auto port = integer(1, 65535);
        return {port.expected, [this, helpers, port](const toml::node& node) -> Parsed<uint32_t> {
                    const auto number = port.parse(node);
                    const auto wrong = number ? claim(helpers, *number) : std::nullopt;
                    return wrong ? Parsed<uint32_t>(tl::unexpected(*wrong)) : number;
                }};
    }

    void add(Helpers helpers, const std::vector<uint32_t>& own) {
        for (const TrackingHelper& helper : helpers) {
            std::vector<uint16_t> ports(own.begin(), own.end());
            if (own.empty()) {
                ports.push_back(helper.port);
            }
            std::ranges::sort(ports);
            helpers_->push_back({std::string(helper.name), helper.transport, std::move(ports)});
        }
    }

    TableReader* table_;
    std::vector<HelperConfig>* helpers_;
    std::map<Endpoint, std::string_view> owners_;
};

} // namespace

void read_helpers(TableReader& table, std::vector<HelperConfig>& helpers) {
    HelperReader reader(table, helpers);
    std::string_view last;
    for (const TrackingHelper& helper : tracking_helpers) {
        if (std::exchange(last, helper.key) != helper.key) {
            reader.read(helper.key);
        }
    }
    table.reject_unknown();
    std::ranges::sort(helpers);
}

} // namespace linkbal

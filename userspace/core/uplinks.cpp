// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/uplinks.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/config_check.h"
#include "core/service.h"

namespace linkbal {

namespace {

// Chosen tables start here: far from what people number by hand, below the system's 253.
constexpr uint32_t first_chosen_table = 100;
// RT_TABLE_UNSPEC, _DEFAULT, _MAIN and _LOCAL: also where nothing names or uses them.
constexpr std::array system_tables{0U, 253U, main_table, 255U};

// The gateway of the main table's default route through `device`: what DHCP, router advertisements
// or the administrator put there. The outer optional is empty where there is no such route.
std::optional<std::optional<IpAddress>> followed_gateway(const Facts& facts, Family family,
                                                         std::string_view device) {
    for (const Route& route : facts.foreign_routes) {
        const auto hop = std::ranges::find(route.hops, device, &NextHop::device);
        if (route.table == main_table && route.destination == Prefix::any(family) &&
            hop != route.hops.end()) {
            return hop->gateway;
        }
    }
    return std::nullopt;
}

std::optional<UplinkPath> path_of(const UplinkConfig& config, const Interface& interface,
                                  const Facts& facts, Family family) {
    UplinkPath path{.gateway = {}, .addresses = global_addresses(interface, family)};
    if (!interface.up || path.addresses.empty()) {
        return std::nullopt; // the kernel takes no routes through an interface that is down
    }
    path.gateway = family == Family::ipv4 ? config.gateway : config.gateway6;
    if (path.gateway) {
        return path;
    }
    if (const auto followed = followed_gateway(facts, family, interface.name)) {
        path.gateway = *followed;
        return path;
    }
    return interface.point_to_point ? std::optional(path) : std::nullopt;
}

// The tables that the configuration names.
std::set<uint32_t> written_tables(const Config& config) {
    std::set<uint32_t> written;
    if (config.balance.table) {
        written.insert(*config.balance.table);
    }
    for (const UplinkConfig& uplink : config.uplinks) {
        if (uplink.table) {
            written.insert(*uplink.table);
        }
    }
    return written;
}

std::set<uint32_t> tables_in_use(const Config& config, const Facts& facts, const Memory& memory) {
    std::set<uint32_t> used = written_tables(config);
    used.insert(system_tables.begin(), system_tables.end());
    used.insert(memory.balance_table);
    for (const RememberedUplink& uplink : memory.uplinks) {
        used.insert(uplink.table);
    }
    for (const Route& route : facts.foreign_routes) {
        used.insert(route.table);
    }
    for (const Rule& rule : facts.foreign_rules) {
        used.insert(rule.table);
    }
    for (const TableName& name : facts.foreign_table_names) {
        used.insert(name.table);
    }
    return used;
}

// The lowest number from `first` on that is not in `used`; takes it.
uint32_t take_lowest(std::set<uint32_t>& used, uint32_t first) {
    while (used.contains(first)) {
        ++first;
    }
    used.insert(first);
    return first;
}

const RememberedUplink* remembered(const Memory& memory, std::string_view name) {
    const auto found = std::ranges::find(memory.uplinks, name, &RememberedUplink::name);
    return found == memory.uplinks.end() ? nullptr : &*found;
}

// Hands out uplink ids. The id of an uplink that is gone is taken only when no other is left: its
// connections may still be open.
class Ids {
  public:
    Ids(const Config& config, const Memory& memory)
        : capacity_(mask_capacity(config.balance.mark_mask, config.firewall.has_value())) {
        for (const RememberedUplink& uplink : memory.uplinks) {
            const bool stays = std::ranges::find(config.uplinks, uplink.name,
                                                 &UplinkConfig::name) != config.uplinks.end();
            used_.insert(uplink.id);
            if (!stays && uplink.id <= capacity_) {
                retired_.push_back(uplink.id);
            }
        }
    }

    // The id that is remembered, unless the mask has become too small for it.
    std::optional<uint32_t> keep_or_take(const RememberedUplink* known) {
        return known != nullptr && known->id <= capacity_ ? known->id : take();
    }

    [[nodiscard]] uint32_t capacity() const { return capacity_; }

  private:
    std::optional<uint32_t> take() {
        const uint32_t lowest = take_lowest(used_, 1);
        if (lowest <= capacity_) {
            return lowest;
        }
        if (retired_.empty()) {
            return std::nullopt;
        }
        const uint32_t id = retired_.back();
        retired_.pop_back();
        return id;
    }

    uint32_t capacity_;
    std::set<uint32_t> used_;
    std::vector<uint32_t> retired_;
};

// As it was when it was still configured; empty where it can't go on: its interface is gone, or its
// table or its id now leads elsewhere.
std::optional<Uplink> keep_retired(const RememberedUplink& known, const Facts& facts,
                                   const ResolvedTables& resolved) {
    const Interface* interface = facts.interface(known.interface);
    const bool elsewhere = std::ranges::any_of(resolved.uplinks, [&](const Uplink& other) {
        return other.id == known.id ||
               (other.table == known.table && other.device != known.interface);
    });
    if (interface == nullptr || !interface->up || elsewhere ||
        known.table == resolved.balance_table) {
        return std::nullopt;
    }
    Uplink uplink{.name = known.name,
                  .device = known.interface,
                  .id = known.id,
                  .table = known.table,
                  .weight = known.weight,
                  .retired = true,
                  .ordered_weight = std::nullopt,
                  .configured_weight = known.weight,
                  .paths = {}};
    for (const Family family : families) {
        const auto& gateway = known.gateways.at(static_cast<size_t>(family));
        UplinkPath path{.gateway = gateway, .addresses = global_addresses(*interface, family)};
        if (!path.addresses.empty() && (gateway || interface->point_to_point)) {
            uplink.paths.at(static_cast<size_t>(family)) = std::move(path);
        }
    }
    return uplink.has_any_path() ? std::optional(uplink) : std::nullopt;
}

// What commands have asked for, now or before, and what was learnt of the gateway. A weight that was
// ordered goes with the configured one that it was in place of.
void add_knowledge(Uplink& uplink, const RememberedUplink* known,
                   const UplinkCondition& condition) {
    uplink.drained = condition.drained.value_or(known != nullptr && known->drained);
    if (condition.weight) {
        uplink.ordered_weight = *condition.weight != 0 ? condition.weight : std::nullopt;
    } else if (known != nullptr && known->configured_weight == uplink.configured_weight) {
        uplink.ordered_weight = known->ordered_weight;
    }
    uplink.weight = uplink.ordered_weight.value_or(uplink.configured_weight);
    uplink.ready = condition.ready;
    uplink.brought_up = condition.brought_up || (known != nullptr && known->brought_up);
    uplink.gateway_answers = condition.gateway_answers.value_or(
        known != nullptr ? known->gateway_answers : std::array<bool, 2>{});
}

Result<Uplink> resolve_one(const UplinkConfig& config, const Facts& facts, bool watched) {
    Uplink uplink{.name = config.name,
                  .device = config.interface,
                  .tier = config.tier,
                  .ordered_weight = std::nullopt,
                  .configured_weight = config.weight,
                  .paths = {}};
    const Interface* interface = facts.interface(config.interface);
    if (interface == nullptr) {
        return watched ? Result<Uplink>(uplink)
                       : fail("uplink {}: there is no interface {}", config.name, config.interface);
    }
    uplink.carrier = interface->running;
    for (const Family family : families) {
        uplink.paths[static_cast<size_t>(family)] = path_of(config, *interface, facts, family);
    }
    if (interface->up && !watched && !uplink.has_any_path()) {
        return fail(
            "uplink {}: {} carries neither IPv4 nor IPv6: it needs an address, and a gateway "
            "from the configuration or from a default route",
            config.name, config.interface);
    }
    return uplink;
}

// Hands out tables. One that was chosen before gives way where the configuration now names it for
// something else.
class Tables {
  public:
    Tables(const Config& config, const Facts& facts, const Memory& memory)
        : written_(written_tables(config)), used_(tables_in_use(config, facts, memory)) {}

    // `known` is 0 where nothing is remembered.
    uint32_t take(std::optional<uint32_t> written, uint32_t known) {
        if (written) {
            return *written;
        }
        return known != 0 && !written_.contains(known) ? known
                                                       : take_lowest(used_, first_chosen_table);
    }

  private:
    std::set<uint32_t> written_, used_;
};

// A family whose links are all gone for the moment is still ours: its packets are answered, not left
// to whatever default route others may have.
std::array<bool, 2> families_in_use(const std::vector<Uplink>& uplinks, const Memory& memory,
                                    const Conditions& conditions) {
    std::array<bool, 2> in_use{};
    for (size_t family = 0; family < in_use.size(); ++family) {
        const bool any = std::ranges::any_of(uplinks, [&](const Uplink& uplink) {
            return uplink.paths.at(family) && !uplink.retired;
        });
        in_use.at(family) = any || (conditions.watched && memory.families.at(family));
    }
    return in_use;
}

} // namespace

Result<ResolvedTables> resolve_uplinks(const Config& config, const Facts& facts,
                                       const Memory& memory, const Conditions& conditions) {
    Tables tables(config, facts, memory);
    Ids ids(config, memory);
    ResolvedTables resolved;
    for (const UplinkConfig& uplink_config : config.uplinks) {
        auto uplink = resolve_one(uplink_config, facts, conditions.watched);
        if (!uplink) {
            return tl::unexpected(uplink.error());
        }
        const RememberedUplink* known = remembered(memory, uplink->name);
        const auto id = ids.keep_or_take(known);
        if (!id) {
            return fail("mark mask {:#010x} has room for {} uplinks only", config.balance.mark_mask,
                        ids.capacity());
        }
        uplink->id = *id;
        uplink->table = tables.take(uplink_config.table, known != nullptr ? known->table : 0);
        add_knowledge(*uplink, known, conditions.of(uplink->name));
        resolved.uplinks.push_back(*std::move(uplink));
    }
    resolved.balance_table = tables.take(config.balance.table, memory.balance_table);
    for (const RememberedUplink& known : memory.uplinks) {
        const bool has_mark = known.id <= ids.capacity();
        if (auto kept =
                known.retired && has_mark ? keep_retired(known, facts, resolved) : std::nullopt) {
            resolved.uplinks.push_back(*std::move(kept));
        }
    }
    choose_service(resolved.uplinks, config.failover, memory, conditions);
    resolved.families = families_in_use(resolved.uplinks, memory, conditions);
    return resolved;
}

} // namespace linkbal

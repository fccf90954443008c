// SPDX-License-Identifier: GPL-2.0-or-later
// The links of an imported script: its default routes, a table each, and the one that balances.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "core/config_values.h"
#include "core/import/model.h"
#include "core/import/words.h"
#include "util/result.h"

namespace linkbal {

namespace {

constexpr auto main_routes = "linkbal leaves the main table's other routes alone: keep this in the "
                             "system's configuration";

class LinkFinder {
  public:
    LinkFinder(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger)
        : facts_(facts), model_(model), ledger_(ledger) {}

    void run() {
        for (const ScriptRoute& route : facts_.routes) {
            if (is_default(route) && route.hops.size() == 1 && route.table != "main") {
                add_own_default(route);
            }
        }
        for (const ScriptRoute& route : facts_.routes) {
            if (is_default(route) && route.hops.size() > 1) {
                add_balance(route);
            }
        }
        if (uplinks().empty()) {
            add_masqueraded();
        }
        name_tables();
        for (const ScriptRoute& route : facts_.routes) {
            judge_route(route);
        }
        find_lan(facts_, model_);
        for (const ScriptRule& rule : facts_.rules) {
            judge_rule(rule);
        }
        judge_marks(facts_, uplink_of_table_, balance_table_, model_, ledger_);
        note_weights();
    }

  private:
    std::vector<UplinkConfig>& uplinks() { return model_.config.uplinks; }
    static bool is_default(const ScriptRoute& route) { return route.destination.is_default(); }

    // Where it isn't said: the device of whatever reaches the gateway.
    std::string device_of(const ScriptHop& hop, const std::string& table) {
        if (!hop.device.empty() || !hop.via) {
            return hop.device;
        }
        for (const bool same_table : {true, false}) {
            for (const ScriptRoute& route : facts_.routes) {
                const auto& first = route.hops.front();
                if (!is_default(route) && !first.device.empty() && !first.via &&
                    route.destination.contains(*hop.via) && same_table == (route.table == table)) {
                    return first.device;
                }
            }
        }
        for (const ScriptRoute& route : facts_.routes) {
            for (const ScriptHop& other : route.hops) {
                if (other.via == hop.via && !other.device.empty()) {
                    return other.device;
                }
            }
        }
        const auto address = std::ranges::find_if(
            facts_.addresses, [&](const auto& own) { return own.subnet.contains(*hop.via); });
        return address == facts_.addresses.end() ? "" : address->device;
    }

    // The number of the uplink of a device, which may be new; empty with the reason.
    Result<size_t> uplink_on(const std::string& device, const ScriptHop& hop) {
        if (!is_device_word(device)) {
            return fail("by which interface it goes is not said");
        }
        if (hop.via && !is_unicast(*hop.via)) {
            return fail("{} is no router's address", hop.via->str());
        }
        auto found = std::ranges::find(uplinks(), device, &UplinkConfig::interface);
        if (found == uplinks().end()) {
            UplinkConfig uplink;
            uplink.interface = device;
            uplinks().push_back(std::move(uplink));
            found = uplinks().end() - 1;
        }
        if (hop.via) {
            auto& gateway = hop.via->family() == Family::ipv4 ? found->gateway : found->gateway6;
            if (gateway && gateway != hop.via) {
                return fail("{} has the router {} already, and linkbal tells links by their "
                            "interface",
                            device, gateway->str());
            }
            gateway = hop.via;
        }
        return static_cast<size_t>(found - uplinks().begin());
    }

    void add_own_default(const ScriptRoute& route) {
        const auto& hop = route.hops.front();
        const auto uplink = uplink_on(device_of(hop, route.table), hop);
        if (!uplink) {
            ledger_.left(route.command, uplink.error().message);
            return;
        }
        uplink_of_table_.try_emplace(route.table, *uplink);
        ledger_.taken(route.command, "[[uplink]]");
    }

    void add_balance(const ScriptRoute& route) {
        if (!balance_table_.empty() && balance_table_ != route.table) {
            ledger_.left(route.command, "linkbal has one balancing table");
            return;
        }
        balance_table_ = route.table;
        ledger_.taken(route.command, "weights of the uplinks");
        for (const ScriptHop& hop : route.hops) {
            const auto uplink = uplink_on(device_of(hop, route.table), hop);
            if (!uplink) {
                ledger_.left(route.command, uplink.error().message);
            } else if (hop.weight < 1 || hop.weight > 1000) {
                ledger_.left(route.command, "a weight is a number from 1 to 1000");
            } else {
                uplinks()[*uplink].weight = hop.weight;
            }
        }
    }

    void add_masqueraded() {
        for (const PacketRule& rule : facts_.packet_rules) {
            if (rule.in_chain("POSTROUTING", "nat") && is_device_word(rule.out) &&
                (rule.target == "MASQUERADE" || rule.target == "SNAT")) {
                (void)uplink_on(rule.out, {});
            }
        }
    }

    // Names are the tables' where these have some.
    void name_tables() {
        for (const auto& [table, uplink] : uplink_of_table_) {
            UplinkConfig& link = uplinks()[uplink];
            link.name = link.name.empty() && is_table_word(table) ? table : link.name;
            link.table = link.table ? link.table : number_of(table);
        }
        auto& balance = model_.config.balance;
        if (!balance_table_.empty() && balance_table_ != "main") {
            balance.table = number_of(balance_table_);
            balance.table_name =
                is_table_word(balance_table_) ? balance_table_ : balance.table_name;
        }
        for (UplinkConfig& uplink : uplinks()) {
            name_by_device(uplink);
        }
    }

    std::optional<uint32_t> number_of(const std::string& table) {
        const auto named = facts_.table_numbers.find(table);
        const auto number =
            named == facts_.table_numbers.end() ? number_word(table) : std::optional(named->second);
        const bool usable = number && *number > 0 && *number <= 0x7fffffff &&
                            (*number < 253 || *number > 255) && numbers_.insert(*number).second;
        return usable ? number : std::nullopt;
    }

    void name_by_device(UplinkConfig& uplink) {
        const auto taken = [&](const std::string& name) {
            return name == model_.config.balance.table_name ||
                   std::ranges::count(uplinks(), name, &UplinkConfig::name) > 0;
        };
        if (!uplink.name.empty()) {
            return;
        }
        std::string name = uplink.interface;
        std::ranges::replace(name, '@', '-');
        name = is_table_word(name) ? name : "uplink";
        std::string unique = name;
        for (size_t number = 2; taken(unique); ++number) {
            const std::string suffix = fmt::format("-{}", number);
            unique = name.substr(0, 15 - suffix.size()) + suffix;
        }
        uplink.name = unique;
    }

    void judge_route(const ScriptRoute& route) {
        const bool own_table =
            uplink_of_table_.contains(route.table) || route.table == balance_table_;
        if (is_default(route) && route.table == "main" && route.hops.size() == 1) {
            judge_main_default(route);
        } else if (is_default(route)) {
            return; // has been
        } else if (route.table == "main" && route.source) {
            ledger_.covered(route.command, "the route of an address's own subnet");
        } else if (own_table && !route.hops.front().via) {
            ledger_.covered(route.command, "linkbal looks into the main table for such routes");
        } else if (route.table == "main") {
            ledger_.left(route.command, main_routes);
        } else {
            ledger_.left(route.command,
                         "tables of uplinks have a default route only; what the main "
                         "table has goes before");
        }
    }

    void judge_main_default(const ScriptRoute& route) {
        const auto& hop = route.hops.front();
        const auto device = device_of(hop, route.table);
        const auto* uplink = model_.uplink_by(device);
        auto& chosen = model_.config.balance.default_uplink;
        if (uplink == nullptr) {
            ledger_.left(route.command, "it is not by one of the links");
        } else if (!chosen || route.metric < default_metric_) {
            chosen = uplink->name;
            default_metric_ = route.metric;
            ledger_.taken(route.command, "default_uplink");
        } else if (*chosen == uplink->name) {
            ledger_.taken(route.command, "default_uplink");
        } else {
            ledger_.left(route.command,
                         "there is one default_uplink; linkbal goes to another by itself "
                         "when that fails");
        }
    }

    void judge_rule(const ScriptRule& rule) {
        const auto own = uplink_of_table_.find(rule.table);
        const bool balances = rule.table == balance_table_;
        if (rule.others) {
            ledger_.left(rule.command, "linkbal has no rules by this");
        } else if (rule.table == "main" && !rule.mark) {
            ledger_.covered(rule.command, "linkbal looks into the main table first");
        } else if (rule.mark && (balances || own != uplink_of_table_.end())) {
            ledger_.taken(rule.command, "linkbal has marks of its own for this");
        } else if (balances && (!rule.from || model_.is_lan(*rule.from))) {
            ledger_.taken(rule.command, "networks of [lan]");
        } else if (own != uplink_of_table_.end() && rule.from &&
                   is_own_address(*rule.from, own->second)) {
            ledger_.covered(rule.command, "what has a link's address goes by this link");
        } else if (own != uplink_of_table_.end() || balances) {
            ledger_.left(rule.command, "linkbal cannot choose links by the client yet");
        } else {
            ledger_.left(rule.command, "the table is not one of a link");
        }
    }

    // A host's address that is no LAN host's: of the link, as far as the script says.
    bool is_own_address(const Prefix& from, size_t uplink) {
        const UplinkConfig& link = uplinks()[uplink];
        if (from.length() != from.address().bits()) {
            return link.gateway && from.contains(*link.gateway);
        }
        return std::ranges::none_of(model_.config.lan.networks, [&](const Prefix& network) {
            return network.contains(from.address());
        });
    }

    void note_weights() {
        const bool spreads = !balance_table_.empty() || weighted_by_marks();
        if (!spreads && uplinks().size() > 1) {
            model_.balance_notes.emplace_back(
                "The script has no route with several next hops and no marks by chance: linkbal "
                "spreads the LAN's connections over all uplinks, by these weights.");
        }
    }
    bool weighted_by_marks() {
        return std::ranges::any_of(facts_.packet_rules, [](const auto& rule) {
            return rule.table == "mangle" && rule.share && rule.set_mark;
        });
    }

    const ScriptFacts& facts_;
    ImportModel& model_;
    ImportLedger& ledger_;
    std::map<std::string, size_t> uplink_of_table_;
    std::string balance_table_; // "main" too; empty: none
    std::set<uint32_t> numbers_;
    uint32_t default_metric_ = 0;
};

} // namespace

const UplinkConfig* ImportModel::uplink_by(const std::string& device) const {
    const auto found = std::ranges::find(config.uplinks, device, &UplinkConfig::interface);
    return found == config.uplinks.end() ? nullptr : &*found;
}

bool ImportModel::is_lan(const std::string& device) const {
    return std::ranges::find(config.lan.interfaces, device) != config.lan.interfaces.end();
}

bool ImportModel::is_lan(const Prefix& network) const {
    return std::ranges::find(config.lan.networks, network) != config.lan.networks.end();
}

void find_links(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger) {
    LinkFinder(facts, model, ledger).run();
}

} // namespace linkbal

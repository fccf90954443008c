// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/memory.h"

#include <stdexcept>

#include <nlohmann/json.hpp>

namespace linkbal {

namespace {

using nlohmann::json;

json to_json(const std::optional<IpAddress>& gateway) {
    return gateway ? json(gateway->str()) : json(nullptr);
}

std::optional<IpAddress> gateway_from(const json& value) {
    if (value.is_null()) {
        return std::nullopt;
    }
    const auto address = IpAddress::parse(value.get<std::string>());
    if (!address) {
        throw std::invalid_argument("no address: " + value.get<std::string>());
    }
    return address;
}

json to_json(const RememberedUplink& uplink) {
    return {{"name", uplink.name},
            {"interface", uplink.interface},
            {"id", uplink.id},
            {"table", uplink.table},
            {"weight", uplink.weight},
            {"gateway", to_json(uplink.gateways[0])},
            {"gateway6", to_json(uplink.gateways[1])},
            {"retired", uplink.retired},
            {"drained", uplink.drained},
            {"brought_up", uplink.brought_up},
            {"ordered_weight", uplink.ordered_weight.value_or(0)},
            {"configured_weight", uplink.configured_weight},
            {"carried", uplink.carried},
            {"served", uplink.served},
            {"gateway_answers", uplink.gateway_answers}};
}

// What version 0.1 did not write yet has a default.
RememberedUplink uplink_from(const json& value) {
    const uint32_t ordered = value.value("ordered_weight", 0U);
    return {.name = value.at("name"),
            .interface = value.at("interface"),
            .id = value.at("id"),
            .table = value.at("table"),
            .weight = value.at("weight"),
            .gateways = {gateway_from(value.at("gateway")), gateway_from(value.at("gateway6"))},
            .retired = value.at("retired"),
            .drained = value.value("drained", false),
            .brought_up = value.value("brought_up", false),
            .ordered_weight = ordered != 0 ? std::optional(ordered) : std::nullopt,
            .configured_weight = value.value("configured_weight", 0U),
            .carried = value.value("carried", std::array<bool, 2>{}),
            .served = value.value("served", std::array<bool, 2>{}),
            .gateway_answers = value.value("gateway_answers", std::array<bool, 2>{})};
}

json to_json(const DeviceForwarding& device) {
    return {{"interface", device.device},
            {"forwarding", forwarding_name(device.forwarding)},
            {"reason", device.reason}};
}

DeviceForwarding forwarding_from(const json& value) {
    const auto name = value.at("forwarding").get<std::string>();
    for (const auto forwarding : {Forwarding::classify, Forwarding::tc, Forwarding::xdp}) {
        if (forwarding_name(forwarding) == name) {
            return {value.at("interface"), forwarding, value.at("reason")};
        }
    }
    throw std::invalid_argument("no way of forwarding: " + name);
}

json to_json(const RefusedXdp& refused) {
    return {{"ifindex", refused.ifindex}, {"mtu", refused.mtu}, {"words", refused.words}};
}

RefusedXdp refused_from(const json& value) {
    return {value.at("ifindex"), value.at("mtu"), value.at("words")};
}

template <typename T>
json all_to_json(const std::vector<T>& values) {
    json all = json::array();
    for (const T& value : values) {
        all.push_back(to_json(value));
    }
    return all;
}

json to_json(const ConfigSource& source) { return {{"file", source.file}, {"text", source.text}}; }

ConfigSource source_from(const json& value) { return {value.at("file"), value.at("text")}; }

json to_json(const FormerGateway& former) {
    return {{"configuration", to_json(former.source)},
            {"uplinks", all_to_json(former.uplinks)},
            {"balance_table", former.balance_table},
            {"sysctls", former.sysctls}};
}

FormerGateway former_from(const json& value) {
    FormerGateway former{.source = source_from(value.at("configuration")),
                         .uplinks = {},
                         .balance_table = value.at("balance_table"),
                         .sysctls = value.at("sysctls")};
    for (const json& uplink : value.at("uplinks")) {
        former.uplinks.push_back(uplink_from(uplink));
    }
    return former;
}

json to_json(const Unconfirmed& change) {
    return {{"deadline_ms", change.deadline.count()},
            {"text", change.text},
            {"former", change.former ? to_json(*change.former) : json(nullptr)},
            {"returning", change.returning}};
}

Unconfirmed unconfirmed_from(const json& value) {
    const json& former = value.at("former");
    return {.deadline = std::chrono::milliseconds(value.at("deadline_ms").get<int64_t>()),
            .text = value.at("text"),
            .former = former.is_null() ? std::nullopt : std::optional(former_from(former)),
            .returning = value.at("returning")};
}

// What version 0.1 did not write yet is absent, what there is none of is null.
template <typename Convert>
auto optional_from(const json& document, const char* key, Convert convert)
    -> std::optional<decltype(convert(document))> {
    const auto found = document.find(key);
    return found == document.end() || found->is_null() ? std::nullopt
                                                       : std::optional(convert(*found));
}

template <typename T>
json optional_to_json(const std::optional<T>& value) {
    return value ? to_json(*value) : json(nullptr);
}

Memory memory_from(const json& document) {
    Memory memory;
    memory.network_namespace = document.at("network_namespace");
    for (const json& uplink : document.at("uplinks")) {
        memory.uplinks.push_back(uplink_from(uplink));
    }
    memory.balance_table = document.at("balance_table");
    memory.families = document.value("families", std::array<bool, 2>{});
    memory.sysctls = document.at("sysctls");
    for (const json& device : document.value("forwarding", json::array())) {
        memory.forwarding.push_back(forwarding_from(device));
    }
    for (const json& refused : document.value("refused_xdp", json::array())) {
        memory.refused_xdp.push_back(refused_from(refused));
    }
    memory.mounted_bpffs = document.at("mounted_bpffs");
    memory.applied = optional_from(document, "configuration", source_from);
    memory.unconfirmed = optional_from(document, "unconfirmed", unconfirmed_from);
    memory.rejected = document.value("rejected", std::string());
    return memory;
}

} // namespace

std::string print_memory(const Memory& memory) {
    const json document{{"network_namespace", memory.network_namespace},
                        {"uplinks", all_to_json(memory.uplinks)},
                        {"balance_table", memory.balance_table},
                        {"families", memory.families},
                        {"sysctls", memory.sysctls},
                        {"forwarding", all_to_json(memory.forwarding)},
                        {"refused_xdp", all_to_json(memory.refused_xdp)},
                        {"mounted_bpffs", memory.mounted_bpffs},
                        {"configuration", optional_to_json(memory.applied)},
                        {"unconfirmed", optional_to_json(memory.unconfirmed)},
                        {"rejected", memory.rejected}};
    // What others have written may hold bytes that are no UTF-8.
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Memory> parse_memory(const std::string& text) {
    try {
        return memory_from(json::parse(text));
    } catch (const std::exception& error) {
        return fail("{}", error.what());
    }
}

} // namespace linkbal

// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/plan_notation.h"

#include <algorithm>
#include <iterator>
#include <map>

#include <fmt/ranges.h>

#include "linkbal/abi.h"

#include "core/buckets.h"
#include "core/netfilter_rules.h"

namespace linkbal {

namespace {

std::string table_text(uint32_t table, const NotationContext& context) {
    if (table == main_table) {
        return "main";
    }
    const auto named = std::ranges::find(context.table_names, table, &TableName::table);
    return named == context.table_names.end() ? std::to_string(table) : named->name;
}

std::string uplink_text(uint32_t id, const NotationContext& context) {
    const auto named = std::ranges::find(context.uplinks, id, &DatapathUplink::id);
    return named == context.uplinks.end() ? fmt::format("uplink {}", id) : named->name;
}

std::string hop_text(const NextHop& hop, Family family) {
    if (!hop.gateway) {
        return fmt::format("dev {}", hop.device);
    }
    const std::string_view other = hop.gateway->family() == family ? "" : "inet6 ";
    return fmt::format("via {}{} dev {}", other, hop.gateway->str(), hop.device);
}

// A filter is ours by its preference and handle.
std::string filter_text(const Attachment& at) {
    return fmt::format("dev {} {} protocol all pref {} handle {:#x} bpf", at.device,
                       attach_direction(at.role), clsact_priority, clsact_handle);
}

std::string attach_text(const Attachment& at, const NotationContext& context) {
    const auto program =
        fmt::format("/sys/fs/bpf/{}/programs/{}", context.instance, attach_program(at.role));
    if (at.role == AttachRole::xdp) {
        return fmt::format("ip link set dev {} xdpdrv pinned {}", at.device, program);
    }
    if (at.tcx) {
        return fmt::format("bpftool net attach tcx_{} pinned {} dev {}", attach_direction(at.role),
                           program, at.device);
    }
    return fmt::format("tc filter replace {} direct-action object-pinned {}", filter_text(at),
                       program);
}

std::string detach_text(const Attachment& at) {
    if (at.role == AttachRole::xdp) {
        return fmt::format("ip link set dev {} xdpdrv off", at.device);
    }
    return at.tcx ? fmt::format("bpftool net detach tcx_{} dev {}", attach_direction(at.role),
                                at.device)
                  : fmt::format("tc filter del {}", filter_text(at));
}

// sysctl(8) takes dots for slashes, and slashes for the dots of a VLAN's name.
std::string sysctl_text(std::string key) {
    for (char& c : key) {
        c = c == '/' ? '.' : c == '.' ? '/' : c;
    }
    return key;
}

std::string buckets_text(const BucketAssignment& buckets, const NotationContext& context) {
    std::map<uint16_t, size_t> counts;
    for (const uint16_t id : buckets) {
        ++counts[id];
    }
    std::string text;
    for (const auto& [id, count] : counts) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", uplink_text(id, context), count);
    }
    return text.empty() ? "none" : text;
}

std::string device_text(const DatapathDevice& device) {
    const auto address =
        device.ethernet ? fmt::format("{:02x}", fmt::join(device.mac, ":")) : "no MAC";
    return fmt::format("{} forwards by {}, {}, MTU {} and {}", device.name,
                       device.forwarding == Forwarding::classify
                           ? "the kernel"
                           : forwarding_name(device.forwarding),
                       address, device.mtu[0], device.mtu[1]);
}

std::string prefixes_text(const std::vector<Prefix>& prefixes) {
    std::string text;
    for (const Prefix& prefix : prefixes) {
        text += fmt::format("{}{}", text.empty() ? "" : " ", prefix.str());
    }
    return text;
}

template <typename T>
std::vector<T> added(const std::vector<T>& from, const std::vector<T>& to) {
    std::vector<T> difference;
    std::ranges::set_difference(to, from, std::back_inserter(difference));
    return difference;
}

// One line an action; `std::visit` picks the overload.
class Notation {
  public:
    explicit Notation(const NotationContext& context) : context_(context) {}
    using Lines = std::vector<std::string>;

    Lines operator()(const SetTableNames& action) const {
        if (!action.to) {
            return {fmt::format("rm {}", context_.table_names_file)};
        }
        Lines lines{fmt::format("cat > {} <<EOF", context_.table_names_file)};
        for (const TableName& name : *action.to) {
            lines.push_back(fmt::format("{}\t{}", name.table, name.name));
        }
        lines.emplace_back("EOF");
        return lines;
    }
    Lines operator()(const AddRoute& action) const {
        // In main in front of somebody else's of the same metric, which "add" would refuse.
        return {route(action.route.table == main_table ? "prepend" : "add", action.route)};
    }
    Lines operator()(const ReplaceRoute& action) const { return {route("replace", action.to)}; }
    Lines operator()(const RemoveRoute& action) const { return {route("del", action.route)}; }
    Lines operator()(const AddRule& action) const { return {rule("add", action.rule)}; }
    Lines operator()(const RemoveRule& action) const { return {rule("del", action.rule)}; }
    Lines operator()(const SetSysctl& action) const {
        return {fmt::format("sysctl -w {}={}    # was {}", sysctl_text(action.key), action.to,
                            action.from)};
    }
    Lines operator()(const ReplaceNetfilter& action) const {
        Lines lines{"nft -f - <<EOF"};
        if (action.existed) {
            lines.push_back(fmt::format("delete table inet {}", context_.instance));
        }
        lines.push_back(nft_notation(context_.instance, netfilter_ruleset(action.to)));
        lines.emplace_back("EOF");
        return lines;
    }
    Lines operator()(const LoadPrograms& action) const {
        return {fmt::format("# {} the programs, pinned below /sys/fs/bpf/{}",
                            action.replaces ? "replace" : "load", context_.instance)};
    }
    Lines operator()(const SetDevices& action) const {
        Lines lines;
        for (const std::string& device : added(action.from.lan, action.to.lan)) {
            lines.push_back(fmt::format("# map devices: {} is the LAN's", device));
        }
        for (const DatapathUplink& uplink : added(action.from.uplinks, action.to.uplinks)) {
            lines.push_back(fmt::format("# maps devices, uplinks: {} is {} on {}, weight {}",
                                        uplink.id, uplink.name, uplink.device, uplink.weight));
        }
        for (const DatapathUplink& uplink : added(action.to.uplinks, action.from.uplinks)) {
            if (std::ranges::find(action.to.uplinks, uplink.id, &DatapathUplink::id) ==
                action.to.uplinks.end()) {
                lines.push_back(fmt::format("# maps devices, uplinks: {} is gone", uplink.name));
            }
        }
        for (const DatapathDevice& device : added(action.from.devices, action.to.devices)) {
            lines.push_back(fmt::format("# map interfaces: {}", device_text(device)));
        }
        return lines;
    }
    Lines operator()(const SetBypass& action) const {
        return {fmt::format("# maps bypass4, bypass6: {}", prefixes_text(action.to))};
    }
    Lines operator()(const SetBuckets& action) const {
        return {fmt::format("# map buckets, {}: {} -> {} ({} of {} move)",
                            family_name(action.family), buckets_text(action.from, context_),
                            buckets_text(action.to, context_), moved(action.from, action.to),
                            LB_BUCKETS)};
    }
    Lines operator()(const Attach& action) const { return {attach_text(action.at, context_)}; }
    Lines operator()(const Detach& action) const { return {detach_text(action.at)}; }
    Lines operator()(const ForgetConnections& action) const {
        const std::string_view family = !action.family                   ? ""
                                        : *action.family == Family::ipv4 ? " -f ipv4"
                                                                         : " -f ipv6";
        return {fmt::format("conntrack -D{} -m {:#x}/{:#x}    # {}{}", family, action.mark,
                            action.mask, action.uplink,
                            action.reset ? ", clients get a reset" : "")};
    }
    Lines operator()(const AdoptConnections& action) const {
        Lines lines;
        for (const auto& [address, mark] : action.marks) {
            lines.push_back(fmt::format("# conntrack: open connections of {} get mark {:#x}/{:#x}",
                                        address.str(), mark, action.mask));
        }
        return lines;
    }
    Lines operator()(const UnloadPrograms&) const {
        return {fmt::format("# detach the programs, remove /sys/fs/bpf/{}", context_.instance)};
    }
    Lines operator()(const RemoveNetfilter&) const {
        return {fmt::format("nft delete table inet {}", context_.instance)};
    }

  private:
    [[nodiscard]] std::string route(std::string_view verb, const Route& route) const {
        return fmt::format("ip {} route {} {}", family_flag(route.destination.family()), verb,
                           route_notation(route, context_));
    }
    [[nodiscard]] std::string rule(std::string_view verb, const Rule& rule) const {
        return fmt::format("ip {} rule {} {}", family_flag(rule.family), verb,
                           rule_notation(rule, context_));
    }
    const NotationContext& context_;
};

} // namespace

std::string route_notation(const Route& route, const NotationContext& context) {
    const Family family = route.destination.family();
    std::string text = route.hops.empty() ? "unreachable " : "";
    text += route.destination.is_default() ? "default" : route.destination.str();
    if (route.hops.size() == 1) {
        text += fmt::format(" {}", hop_text(route.hops.front(), family));
    }
    text += fmt::format(" table {} proto {}", table_text(route.table, context), route_protocol);
    if (route.preferred_source) {
        text += fmt::format(" src {}", route.preferred_source->str());
    }
    if (route.metric != 0) {
        text += fmt::format(" metric {}", route.metric);
    }
    for (const NextHop& hop : route.hops.size() > 1 ? route.hops : std::vector<NextHop>{}) {
        text += fmt::format(" nexthop {} weight {}", hop_text(hop, family), hop.weight);
    }
    return text;
}

std::string rule_notation(const Rule& rule, const NotationContext& context) {
    std::string text = fmt::format("pref {}", rule.priority);
    if (rule.source) {
        const bool host = rule.source->length() == rule.source->address().bits();
        text += fmt::format(" from {}", host ? rule.source->address().str() : rule.source->str());
    }
    if (!rule.input_interface.empty()) {
        text += fmt::format(" iif {}", rule.input_interface);
    }
    if (!rule.output_interface.empty()) {
        text += fmt::format(" oif {}", rule.output_interface);
    }
    if (rule.mark_mask != 0) {
        text += fmt::format(" fwmark {:#x}/{:#x}", rule.mark, rule.mark_mask);
    }
    text += fmt::format(" lookup {}", table_text(rule.table, context));
    if (rule.suppress_prefix_length) {
        text += fmt::format(" suppress_prefixlength {}", *rule.suppress_prefix_length);
    }
    return text + fmt::format(" protocol {}", route_protocol);
}

std::vector<std::string> action_notation(const Action& action, const NotationContext& context) {
    return std::visit(Notation(context), action);
}

} // namespace linkbal

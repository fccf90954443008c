// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/applier.h"
#include "kernel/modules.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>
#include <system_error>

#include "core/plan_notation.h"
#include "kernel/adoption.h"
#include "kernel/conntrack.h"
#include "kernel/resets.h"
#include "kernel/sysctl.h"
#include "kernel/table_names.h"

namespace linkbal {

Status Applier::route(RouteOperation operation, const Route& route) {
    auto message = route_message(operation, route, names_);
    if (!message) {
        return tl::unexpected(message.error());
    }
    const std::string_view verb = operation == RouteOperation::remove    ? "remove"
                                  : operation == RouteOperation::replace ? "replace"
                                                                         : "add";
    return route_socket_.request(*std::move(message),
                                 fmt::format("{} route {}", verb, route_notation(route, {})));
}

Status Applier::rule(bool add, const Rule& rule) {
    return route_socket_.request(
        rule_message(add, rule),
        fmt::format("{} rule {}", add ? "add" : "remove", rule_notation(rule, {})));
}

Status Applier::load_programs() {
    const auto object = datapath_.load(desired_);
    if (!object) {
        return tl::unexpected(object.error());
    }
    auto former = datapath_.install(*object);
    if (!former) {
        return tl::unexpected(former.error());
    }
    former_programs_ = *std::move(former);
    return {};
}

Status Applier::unload_programs() {
    if (former_programs_.empty()) {
        return datapath_.remove();
    }
    const auto back = datapath_.install(former_programs_);
    return back ? Status{} : Status(tl::unexpected(back.error()));
}

Status Applier::set_devices(const SetDevices::Devices& devices, MissingDevices missing) {
    auto status = datapath_.set_uplinks(devices.uplinks);
    return status ? datapath_.set_devices(devices.lan, devices.uplinks, devices.devices, missing)
                  : status;
}

Status Applier::keep_attached(const Attachment& at) {
    auto program = datapath_.attached_program(at);
    if (!program) {
        return tl::unexpected(program.error());
    }
    former_attached_[at] = *std::move(program);
    return {};
}

namespace {

// Of the machine or of us rather than of the device's.
bool says_nothing_of_the_device(int code) {
    constexpr std::array codes{0, ENODEV, ENOENT, EPERM, EACCES, ENOMEM, EMFILE, ENFILE, EINTR};
    return std::ranges::find(codes, code) != codes.end();
}

} // namespace

Status Applier::attach(const Attachment& at) {
    auto attached = datapath_.attach(at);
    if (!attached && at.role == AttachRole::xdp &&
        !says_nothing_of_the_device(attached.error().code)) {
        refused_xdp_ = {at.device, std::generic_category().message(attached.error().code)};
    }
    return attached;
}

Status Applier::put_back(const Attachment& at) {
    return datapath_.put_back(at, former_attached_[at]);
}

// By now nothing new comes to the uplink: to go back to it would be worse than connections that stay.
// The epoch ends before, so that packets come to the kernel, which resets them; and after, for what has
// been learned of the connections until they were gone.
void Applier::forget_connections(const ForgetConnections& action) {
    auto epoch = datapath_.end_epoch(action.id);
    const auto ended =
        end_connections(instance_, action.mark, action.mask, action.family, action.reset);
    epoch = epoch.and_then([&] { return datapath_.end_epoch(action.id); });
    if (!epoch || !ended) {
        warnings_.push_back(fmt::format("uplink {}: its connections may go on: {}", action.uplink,
                                        ended ? epoch.error().message : ended.error().message));
        return;
    }
    if (ended->trouble) {
        warnings_.push_back(fmt::format("uplink {}: connections are ended, but their clients are "
                                        "not told: {}",
                                        action.uplink, ended->trouble->message));
    }
    if (ended->left_out > 0) {
        warnings_.push_back(
            fmt::format("uplink {}: {} of its clients are not told, more than {} at "
                        "once are not",
                        action.uplink, ended->left_out, most_resets));
    }
}

// Without them connections that carry addresses don't work through NAT; all others do.
void Applier::load_nat_helpers(const std::vector<HelperConfig>& helpers) {
    for (const auto& helper : helpers) {
        if (const auto loaded = load_nat_helper(helper.name); !loaded) {
            warnings_.push_back(
                fmt::format("helper {} without NAT: {}", helper.name, loaded.error().message));
        }
    }
}

struct Applier::Perform {
    Applier& self;

    Status operator()(const SetTableNames& action) const {
        return write_table_names(self.instance_, action.to);
    }
    Status operator()(const AddRoute& action) const {
        return self.route(RouteOperation::add, action.route);
    }
    Status operator()(const ReplaceRoute& action) const {
        return self.route(RouteOperation::replace, action.to);
    }
    Status operator()(const RemoveRoute& action) const {
        return self.route(RouteOperation::remove, action.route);
    }
    Status operator()(const AddRule& action) const { return self.rule(true, action.rule); }
    Status operator()(const RemoveRule& action) const { return self.rule(false, action.rule); }
    Status operator()(const SetSysctl& action) const {
        self.former_side_effects_[action.key] = side_effects_of(action.key);
        return write_sysctl(action.key, action.to);
    }
    Status operator()(const ReplaceNetfilter& action) const {
        auto former = snapshot(self.instance_);
        if (!former) {
            return tl::unexpected(former.error());
        }
        self.former_netfilter_ = *std::move(former);
        self.load_nat_helpers(action.to.helpers);
        return replace(self.instance_, action.to);
    }
    Status operator()(const LoadPrograms&) const { return self.load_programs(); }
    Status operator()(const SetDevices& action) const {
        return self.set_devices(action.to, MissingDevices::refused);
    }
    Status operator()(const SetBypass& action) const {
        return self.datapath_.set_bypass(action.to);
    }
    Status operator()(const SetBuckets& action) const {
        return self.datapath_.set_buckets(action.family, action.to);
    }
    Status operator()(const Attach& action) const {
        const auto kept = self.keep_attached(action.at);
        return kept ? self.attach(action.at) : kept;
    }
    Status operator()(const Detach& action) const {
        const auto kept = self.keep_attached(action.at);
        return kept ? self.datapath_.detach(action.at) : kept;
    }
    Status operator()(const ForgetConnections& action) const {
        self.forget_connections(action);
        return {};
    }
    Status operator()(const AdoptConnections& action) const {
        return adopt_connections(action.marks, action.mask);
    }
    Status operator()(const UnloadPrograms&) const { return self.datapath_.remove(); }
    Status operator()(const RemoveNetfilter&) const { return linkbal::remove(self.instance_); }
};

struct Applier::Undo {
    Applier& self;

    Status operator()(const SetTableNames& action) const {
        return write_table_names(self.instance_, action.from);
    }
    Status operator()(const AddRoute& action) const {
        return self.route(RouteOperation::remove, action.route);
    }
    Status operator()(const ReplaceRoute& action) const {
        return self.route(RouteOperation::replace, action.from);
    }
    Status operator()(const RemoveRoute& action) const {
        return self.route(RouteOperation::add, action.route);
    }
    Status operator()(const AddRule& action) const { return self.rule(false, action.rule); }
    Status operator()(const RemoveRule& action) const { return self.rule(true, action.rule); }
    Status operator()(const SetSysctl& action) const {
        auto status = write_sysctl(action.key, action.from);
        for (const Sysctl& side_effect : self.former_side_effects_[action.key]) {
            auto restored = write_sysctl(side_effect.key, side_effect.value);
            status = status ? restored : status;
        }
        return status;
    }
    Status operator()(const ReplaceNetfilter&) const { return restore(*self.former_netfilter_); }
    Status operator()(const LoadPrograms&) const { return self.unload_programs(); }
    Status operator()(const SetDevices& action) const {
        return self.set_devices(action.from, MissingDevices::skipped);
    }
    Status operator()(const SetBypass& action) const {
        return self.datapath_.set_bypass(action.from);
    }
    Status operator()(const SetBuckets& action) const {
        return self.datapath_.set_buckets(action.family, action.from);
    }
    Status operator()(const Attach& action) const { return self.put_back(action.at); }
    Status operator()(const Detach& action) const { return self.put_back(action.at); }
    // The last action of a plan: nothing after it can fail.
    Status operator()(const ForgetConnections&) const { return {}; }
    // Without our rules and nftables table the marks mean nothing, and the next first `up` sets them
    // anew.
    Status operator()(const AdoptConnections&) const { return {}; }
    Status operator()(const UnloadPrograms&) const { return {}; }
    Status operator()(const RemoveNetfilter&) const { return {}; }
};

Status Applier::perform(const Action& action) { return std::visit(Perform{*this}, action); }
Status Applier::undo(const Action& action) { return std::visit(Undo{*this}, action); }

Status apply_all(Applier& applier, const Plan& plan,
                 const std::function<void(const Action&)>& progress) {
    std::string failures;
    for (const Action& action : plan) {
        progress(action);
        if (const auto done = applier.perform(action); !done) {
            failures += (failures.empty() ? "" : "; ") + done.error().message;
        }
    }
    return failures.empty() ? Status{} : Status(fail("{}", failures));
}

namespace {

Status perform_or_undo(Applier& applier, const Plan& plan,
                       const std::function<void(const Action&)>& progress) {
    for (auto action = plan.begin(); action != plan.end(); ++action) {
        progress(*action);
        auto done = applier.perform(*action);
        if (done) {
            continue;
        }
        Error error = done.error();
        for (const Action& former :
             std::ranges::subrange(plan.begin(), action) | std::views::reverse) {
            if (const auto undone = applier.undo(former); !undone) {
                error.message += fmt::format("; going back: {}", undone.error().message);
            }
        }
        return tl::unexpected(error);
    }
    return {};
}

} // namespace

Status apply_or_undo(Applier& applier, const Plan& plan,
                     const std::function<void(const Action&)>& progress) {
    auto done = perform_or_undo(applier, plan, progress);
    applier.tidy();
    return done;
}

} // namespace linkbal

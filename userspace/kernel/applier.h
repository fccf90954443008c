// SPDX-License-Identifier: GPL-2.0-or-later
// Carries actions out one by one and takes them back in reverse order.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "kernel/datapath.h"
#include "kernel/interfaces.h"
#include "kernel/netlink.h"
#include "kernel/nftables.h"
#include "kernel/routes.h"

namespace linkbal {

class Applier {
  public:
    // All references must outlive the applier.
    Applier(const std::string& instance, NetlinkSocket& route_socket, const InterfaceNames& names,
            Datapath& datapath, const DatapathState& desired)
        : instance_(instance), route_socket_(route_socket), names_(names), datapath_(datapath),
          desired_(desired) {}

    Status perform(const Action& action);
    // What went wrong and was no reason to go back.
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
    // The device whose driver would not have our XDP program, which is why perform() failed.
    struct DeviceRefusal {
        std::string device;
        std::string words; // the kernel's
    };
    [[nodiscard]] const std::optional<DeviceRefusal>& refused_xdp() const { return refused_xdp_; }
    // Of an action that perform() has done.
    Status undo(const Action& action);
    // When nothing is to be done or undone any more. If it fails the next change does it.
    void tidy() { (void)datapath_.tidy(); }

  private:
    struct Perform;
    struct Undo;
    Status route(RouteOperation operation, const Route& route);
    Status rule(bool add, const Rule& rule);
    Status load_programs();
    Status unload_programs();
    Status set_devices(const SetDevices::Devices& devices, MissingDevices missing);
    Status attach(const Attachment& at);
    Status keep_attached(const Attachment& at);
    Status put_back(const Attachment& at);
    void load_nat_helpers(const std::vector<HelperConfig>& helpers);
    void forget_connections(const ForgetConnections& action);

    const std::string& instance_;
    NetlinkSocket& route_socket_;
    const InterfaceNames& names_;
    Datapath& datapath_;
    const DatapathState& desired_;
    BpfObject former_programs_;
    std::map<Attachment, Fd> former_attached_; // what ran where; invalid: nothing
    std::optional<NetfilterSnapshot> former_netfilter_;
    std::vector<std::string> warnings_;
    std::optional<DeviceRefusal> refused_xdp_;
    std::map<std::string, std::vector<Sysctl>> former_side_effects_; // by the key that has them
};

// Performs the whole plan, or nothing: on failure what was done is undone, and the error says what
// failed and what could not be undone, if anything.
Status apply_or_undo(Applier& applier, const Plan& plan,
                     const std::function<void(const Action&)>& progress);

// Performs every action of a removal plan, also after failures, and reports them all.
Status apply_all(Applier& applier, const Plan& plan,
                 const std::function<void(const Action&)>& progress);

} // namespace linkbal

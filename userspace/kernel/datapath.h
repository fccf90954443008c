// SPDX-License-Identifier: GPL-2.0-or-later
// The datapath of one instance: programs, maps and attachments, pinned below /sys/fs/bpf/INSTANCE.
// Each operation is one step that can be undone by the same operation with the former value;
// nothing is kept in this object but the name.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/attachment.h"
#include "core/gateway_state.h"
#include "kernel/bpf_object.h"
#include "linkbal/abi.h"
#include "util/result.h"

namespace linkbal {

enum class MissingDevices : uint8_t { refused, skipped };

// Summed over all CPUs.
struct DatapathCounters {
    std::array<lb_uplink_counters, LB_UPLINK_IDS> uplinks{}; // by uplink id
    std::array<lb_verdict_counters, LB_VERDICTS> verdicts{}; // by enum lb_verdict
    std::array<lb_verdict_counters, LB_FASTS> fast{};        // by enum lb_fast
    uint64_t full = 0; // flows that found no place in the cache
};

class Datapath {
  public:
    explicit Datapath(std::string instance);

    // Where the pins are: /sys/fs/bpf/INSTANCE.
    [[nodiscard]] const std::string& directory() const { return directory_; }

    // What is there; nullopt if nothing is pinned.
    [[nodiscard]] Result<std::optional<ActualDatapath>> read() const;

    // Loads this binary's programs, to be installed. The seed of the hash and all maps that still
    // fit are taken over from what is pinned. Changes nothing. A rejection by the verifier carries
    // the last lines of its log; failed_load_log() (kernel/libbpf_log.h) has the rest.
    [[nodiscard]] Result<BpfObject> load(const DatapathState& desired) const;
    // Pins the object in the place of the one before, which it returns (empty if there was none).
    // What is attached runs on as it is: attach() switches it over, one by one and without a gap, and
    // what it ran stays pinned until tidy().
    // On failure the former pins are back. Undo: install() the former one, or remove() if it is
    // empty.
    Result<BpfObject> install(const BpfObject& object);

    // Puts the pinned program on the device, or in the place of the one that we have there. XDP's error
    // has the errno as code, EOPNOTSUPP where frames can't be redirected to the device.
    Status attach(const Attachment& attachment);
    // What runs at this place now, of ours, whatever its role; an invalid Fd if there is nothing.
    // Undo of attach() and of detach(): put_back() what was there before.
    [[nodiscard]] Result<Fd> attached_program(const Attachment& attachment) const;
    // Detaches if `program` is invalid; content if the device is gone.
    Status put_back(const Attachment& attachment, const Fd& program);
    // Content if it is not there.
    Status detach(const Attachment& attachment);

    // Switches a family over in one step; an empty assignment leaves it without buckets.
    Status set_buckets(Family family, const BucketAssignment& assignment);
    // Adds and deletes the difference.
    Status set_bypass(std::span<const Prefix> prefixes);
    // Names and weights for readers. Uplinks that are not listed are cleared; an id that gets another
    // name counts from zero.
    Status set_uplinks(std::span<const DatapathUplink> uplinks);
    // What was remembered of connections by this uplink is void from now on: it failed, or they were
    // ended. As with all changes, by one process at a time.
    Status end_epoch(uint32_t uplink_id);
    // Which devices are the LAN's and which are uplinks, and how they forward; an interface that is missing is an error
    // and changes nothing, unless it is to be skipped: where something is undone. An uplink without
    // a device, as read() gives it when that is gone, is passed over.
    Status set_devices(std::span<const std::string> lan_devices,
                       std::span<const DatapathUplink> uplinks,
                       std::span<const DatapathDevice> devices,
                       MissingDevices missing = MissingDevices::refused);

    // After a change: unpins former programs that no device runs any more.
    Status tidy();
    // Detaches and unpins everything of this instance; content if there is nothing.
    Status remove();

    [[nodiscard]] Result<DatapathCounters> counters() const;

  private:
    [[nodiscard]] Result<BpfObject> pinned() const;
    [[nodiscard]] Result<Fd> map(std::string_view name) const;
    [[nodiscard]] Status
    open_maps(std::initializer_list<std::pair<std::string_view, Fd*>> wanted) const;
    std::string directory_;
};

} // namespace linkbal

// SPDX-License-Identifier: GPL-2.0-or-later
#include "connections.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <numeric>
#include <thread>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "frame.h"
#include "netns.h"
#include "segment.h"
#include <connections.skel.h>

namespace linkbal::pktgen {

namespace {

using Skeleton = std::unique_ptr<connections_bpf, decltype(&connections_bpf__destroy)>;
using Link = std::unique_ptr<bpf_link, decltype(&bpf_link__destroy)>;

constexpr uint32_t connections_per_call = 64 * 8;
constexpr auto settle = std::chrono::milliseconds(20); // what is still queued arrives meanwhile

class Connections {
  public:
    explicit Connections(const ConnectionsOptions& options) : options_(options) {}

    Status prepare();
    Result<CoreSample> run_for(double seconds);

    [[nodiscard]] std::vector<uint64_t> closed() const;
    [[nodiscard]] uint32_t next() const { return skeleton_->bss->next_connection; }

  private:
    // Leaves the calling thread in the port's namespace; returns the device's number.
    Result<unsigned> attach(const bpf_program* program, const std::string& text);
    Status load(const std::string& client);

    const ConnectionsOptions& options_;
    Skeleton skeleton_{nullptr, connections_bpf__destroy};
    std::vector<unsigned> devices_; // of the servers
    std::vector<Link> links_;
};

Status Connections::load(const std::string& client) {
    const auto device = Port::parse(client).and_then(enter);
    if (!device) {
        return tl::unexpected(device.error());
    }
    skeleton_.reset(connections_bpf__open());
    if (!skeleton_) {
        return fail_errno(errno, "opening the connections");
    }
    auto& constants = *skeleton_->rodata;
    constants.device = *device;
    constants.source_network = htonl(source_network);
    constants.destination_network = htonl(destination_network);
    std::copy(gateway_mac.begin(), gateway_mac.end(), constants.gateway_mac);
    std::copy(host_mac.begin(), host_mac.end(), constants.client_mac);
    skeleton_->bss->next_connection = options_.first;
    if (const int error = connections_bpf__load(skeleton_.get()); error != 0) {
        return fail_errno(-error, "loading the connections");
    }
    return {};
}

Result<unsigned> Connections::attach(const bpf_program* program, const std::string& text) {
    const auto device = Port::parse(text).and_then(enter);
    if (!device) {
        return device;
    }
    Link link(bpf_program__attach_xdp(program, static_cast<int>(*device)), bpf_link__destroy);
    if (!link) {
        return fail_errno(errno, "attaching to " + text);
    }
    links_.push_back(std::move(link));
    return device;
}

Status Connections::prepare() {
    if (auto status = pin_to(options_.cpu).and_then([&] { return load(options_.client); });
        !status) {
        return status;
    }
    for (const auto& server : options_.servers) {
        const auto device = attach(skeleton_->progs.server, server);
        if (!device) {
            return tl::unexpected(device.error());
        }
        devices_.push_back(*device);
    }
    const auto client = attach(skeleton_->progs.client, options_.client);
    return client ? Status{} : tl::unexpected(client.error());
}

Result<CoreSample> Connections::run_for(double seconds) {
    const int program = bpf_program__fd(skeleton_->progs.start);
    auto sample =
        send_for([&](uint32_t count) { return send_live(program, sizeof(pktgen_segment), count); },
                 connections_per_call, options_.cpu, seconds);
    std::this_thread::sleep_for(settle);
    return sample;
}

std::vector<uint64_t> Connections::closed() const {
    std::vector<uint64_t> result;
    std::vector<uint64_t> counts(static_cast<size_t>(libbpf_num_possible_cpus()));
    for (const unsigned device : devices_) {
        std::fill(counts.begin(), counts.end(), 0);
        bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.closed), &device, counts.data());
        result.push_back(std::accumulate(counts.begin(), counts.end(), uint64_t{0}));
    }
    return result;
}

} // namespace

Result<ConnectionsResult> run_connections(const ConnectionsOptions& options) {
    Connections connections(options);
    const auto ready = connections.prepare().and_then([&]() -> Status {
        auto sample = connections.run_for(options.warm_up);
        return sample ? Status{} : tl::unexpected(sample.error());
    });
    if (!ready) {
        return tl::unexpected(ready.error());
    }
    const auto before = connections.closed();
    auto core = connections.run_for(options.seconds);
    if (!core) {
        return tl::unexpected(core.error());
    }
    ConnectionsResult result{*core, connections.closed(), connections.next()};
    for (size_t i = 0; i < before.size(); ++i) {
        result.closed[i] -= before[i];
    }
    return result;
}

} // namespace linkbal::pktgen

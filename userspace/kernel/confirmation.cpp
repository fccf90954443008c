// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/confirmation.h"

#include "core/config_file.h"
#include "core/confirmation.h"
#include "kernel/instance.h"

namespace linkbal {

namespace {

Status keep(const std::string& instance, const Memory& memory) {
    return is_nothing(memory) ? remove_memory(instance) : write_memory(instance, memory);
}

Status rewrite(const std::string& instance, Memory (*change)(Memory)) {
    const auto memory = read_memory(instance);
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    const auto changed = change(*memory);
    return changed == *memory ? Status() : keep(instance, changed);
}

// Not held against this machine: it was at work here.
Status apply_again(Gateway& gateway, const Config& config, const Progress& progress) {
    const auto seen = gateway.observe_now();
    if (!seen) {
        return tl::unexpected(seen.error());
    }
    const auto preparation = gateway.compare_with(config, *seen, {});
    return preparation ? gateway.apply(*preparation, progress)
                       : tl::unexpected(preparation.error());
}

} // namespace

Status begin_trial(const std::string& instance, const std::string& text, Time deadline) {
    auto memory = read_memory(instance);
    const auto here = network_namespace();
    if (!memory || !here) {
        return tl::unexpected(memory ? here.error() : memory.error());
    }
    memory->network_namespace = *here;
    const auto changed = on_trial(*std::move(memory), text, deadline);
    return changed ? write_memory(instance, *changed) : tl::unexpected(changed.error());
}

Status restart_trial(const std::string& instance, Time deadline) {
    const auto memory = read_memory(instance);
    return memory ? write_memory(instance, until(*memory, deadline))
                  : tl::unexpected(memory.error());
}

Status end_trial(const std::string& instance) { return rewrite(instance, confirmed); }
Status begin_return(const std::string& instance) { return rewrite(instance, returning); }
Status end_return(const std::string& instance) { return rewrite(instance, returned); }
Status end_stale_trial(const std::string& instance) { return rewrite(instance, superseded); }

Result<Config> former_config(const FormerGateway& former) {
    auto config = accept_config(former.source.text, former.source.file);
    return config ? Result<Config>(*std::move(config))
                  : fail("the configuration from before is not accepted any more: {}",
                         config.error().front().str());
}

Status go_back(Gateway& gateway, const Progress& progress) {
    const auto memory = gateway.memory();
    if (!memory || !memory->unconfirmed) {
        return memory ? Status() : tl::unexpected(memory.error());
    }
    if (!memory->unconfirmed->former) {
        const auto removed = gateway.remove(progress);
        return removed ? Status() : tl::unexpected(removed.error());
    }
    const auto config = former_config(*memory->unconfirmed->former);
    if (!config) {
        return tl::unexpected(config.error());
    }
    if (const auto begun = begin_return(gateway.instance()); !begun) {
        return begun;
    }
    auto applied = apply_again(gateway, *config, progress);
    // Again for each device that would not have XDP, which is known only when it is asked.
    while (!applied && gateway.take_xdp_refusal()) {
        applied = apply_again(gateway, *config, progress);
    }
    return applied ? end_return(gateway.instance()) : applied;
}

} // namespace linkbal

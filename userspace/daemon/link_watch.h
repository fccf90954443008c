// SPDX-License-Identifier: GPL-2.0-or-later
// Probes an uplink in one family and judges it; core/link_health.h has the rules.
#pragma once

#include <functional>
#include <memory>

#include "core/config.h"
#include "core/link_health.h"
#include "daemon/asio.h"
#include "daemon/probe_path.h"
#include "util/result.h"

namespace linkbal {

class LinkWatch {
  public:
    using PassiveSource = std::function<PassiveEvidence(Time)>;
    // Called from the event loop when the verdict changes, or what the reason is about. It may
    // destroy the watch.
    using OnChange = std::function<void(const Judgement&)>;

    // What was known of the link before, by this daemon or another one.
    struct Precedent {
        Verdict verdict = Verdict::unknown;
        bool gateway_answers = false; // it has answered probes
    };
    struct Sources {
        PassiveSource passive{};
        // Whether the gateway's address does not resolve; asked only where nothing else tells.
        std::function<bool()> gateway_missing{};
    };
    // Begins at the event loop's next turn. Targets of the other family are passed over. An error is a
    // missing privilege.
    static Result<LinkWatch> start(asio::io_context& context, const HealthConfig& config,
                                   const ProbePath& path, Precedent before, Sources sources,
                                   OnChange on_change);

    // Addresses or the gateway have changed. What is known of the link stays; probes that are under
    // way are lost. An error leaves the path as it was.
    Status set_path(const ProbePath& path);
    // There may be new passive evidence: judges at the event loop's next turn.
    void look();
    [[nodiscard]] const Judgement& judgement() const;
    [[nodiscard]] const ProbePath& path() const;
    // Some target has answered.
    [[nodiscard]] bool has_answered() const;

  private:
    class Watch;
    explicit LinkWatch(std::shared_ptr<Watch> watch) : watch_(std::move(watch)) {}

    // Handlers look for it in vain when this is gone.
    std::shared_ptr<Watch> watch_;
};

} // namespace linkbal

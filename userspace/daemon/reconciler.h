// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the kernel what the configuration and the state of the links ask for, again and again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/conditions.h"
#include "core/config.h"
#include "core/repair_budget.h"
#include "kernel/gateway.h"
#include "util/clock.h"
#include "util/result.h"

namespace linkbal {

class Reconciler {
  public:
    // What one pass has come to.
    struct Pass {
        Facts facts;
        Desired desired;
        std::vector<std::vector<std::string>> actions; // in the notation of `plan`: lines of each
        bool programs_loaded = false;
        std::optional<Time> postponed; // repairs that wait, because there were too many
    };
    enum class Occasion : uint8_t {
        routine, // something may have changed
        request, // somebody asks for it: the configuration is held against the machine, and there is
                 // no limit to repairs
        going_back, // to what was at work before: no limit to repairs either, and nothing may refuse it
    };
    // From what is seen to what is known of the links.
    using Judge = std::function<Conditions(const Facts&)>;

    explicit Reconciler(Gateway gateway) : gateway_(std::move(gateway)) {}

    // Looks, decides, and applies the difference. What others have undone since the last pass is put
    // right again and logged, within a budget.
    tl::expected<Pass, Refusal> pass(Occasion occasion, const Config& config,
                                     const std::string& file, const Judge& judge);
    // What a request would do.
    tl::expected<Pass, Refusal> preview(const Config& config, const std::string& file,
                                        const Judge& judge);
    // The links have moved: what the kernel has removed with them is not somebody's doing.
    void expect_changes() { expecting_ = true; }
    // Everything of ours goes.
    Result<bool> remove();

    [[nodiscard]] Result<Memory> memory() const { return gateway_.memory(); }
    [[nodiscard]] uint32_t route_port() const { return gateway_.route_port(); }

  private:
    tl::expected<Preparation, Refusal> prepare(Occasion occasion, const Config& config,
                                               const std::string& file, const Judge& judge,
                                               Pass& pass);
    tl::expected<Pass, Refusal> look_and_apply(Occasion occasion, const Config& config,
                                               const std::string& file, const Judge& judge);
    Status apply(const Preparation& preparation, Occasion occasion, Pass& pass);

    Gateway gateway_;
    std::optional<GatewayState> applied_;
    bool expecting_ = true;
    bool postponing_ = false;
    bool warned_ = false; // of what the kernel lacks
    RepairBudget budget_;
};

} // namespace linkbal

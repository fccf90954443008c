// SPDX-License-Identifier: GPL-2.0-or-later
// What commands ask of the daemon.
#include "daemon/daemon.h"

#include <spdlog/spdlog.h>

#include "core/config_file.h"
#include "daemon/refusal.h"

namespace linkbal {

Answer Daemon::answer(const Request& request) {
    if (removed_) {
        return {.exit = exit_failed, .errors = {"linkbal: the daemon is just ending"}};
    }
    if (const auto* up = std::get_if<ApplyRequest>(&request)) {
        return apply(*up);
    }
    if (const auto* order = std::get_if<UplinkRequest>(&request)) {
        return obey(*order);
    }
    if (std::holds_alternative<RemoveRequest>(request)) {
        return remove();
    }
    if (std::holds_alternative<ConfirmRequest>(request)) {
        return confirm();
    }
    return {.uplinks = links_.status()};
}

Answer Daemon::apply(const ApplyRequest& request) {
    const auto config = accept_config(request.text, request.file);
    if (!config) {
        return refused({.mistakes = config.error(), .error = {}});
    }
    if (request.only_plan) {
        return plan(*config, request.file);
    }
    if (const auto words = trial_.words()) {
        return refused(*words);
    }
    return request.confirm != 0 ? apply_on_trial(*config, request)
                                : apply_for_good(*config, request);
}

Answer Daemon::apply_for_good(const Config& config, const ApplyRequest& request) {
    Answer answer = apply(config, request);
    if (answer.exit == exit_done) {
        log_unnoted(trial_.end_stale());
    }
    return answer;
}

Answer Daemon::apply(const Config& config, const ApplyRequest& request) {
    const auto done = change_to(config, request.file);
    if (!done) {
        return refused(done.error());
    }
    const auto summary = up_summary(done->desired.uplinks.size(), done->actions.size());
    return {.output = {summary}, .actions = done->actions};
}

Answer Daemon::plan(const Config& config, const std::string& file) {
    const auto planned = reconciler_.preview(config, file, judge());
    return planned ? Answer{.actions = planned->actions} : refused(planned.error());
}

Answer Daemon::remove() {
    const auto removed = reconciler_.remove();
    if (!removed) {
        return refused(removed.error().message);
    }
    removed_ = true;
    trial_.forget();
    // After the answer has been sent.
    asio::post(context_, [this] {
        spdlog::info("removed by `linkbal down`");
        stop();
    });
    return {.output = {*removed ? "down" : "nothing to do"}};
}

Answer Daemon::obey(const UplinkRequest& order) {
    if (const auto words = trial_.words()) {
        return refused(*words);
    }
    if (!config_of(order.uplink)) {
        return {.exit = exit_usage,
                .errors = {fmt::format("linkbal: there is no uplink {}", order.uplink)}};
    }
    const auto done = pass_with(Reconciler::Occasion::request, &order);
    if (!done) {
        return refused(done.error());
    }
    if (order.order == UplinkRequest::Order::weight) {
        if (const auto change = links_.weight_change(order.uplink)) {
            tell(*change);
        }
    }
    return {.actions = done->actions};
}

} // namespace linkbal

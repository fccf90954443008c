// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/control.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace linkbal {

namespace {

using nlohmann::json;
using std::chrono::microseconds;

constexpr std::array orders{
    std::pair{std::string_view("drain"), UplinkRequest::Order::drain},
    std::pair{std::string_view("resume"), UplinkRequest::Order::resume},
    std::pair{std::string_view("weight"), UplinkRequest::Order::weight},
};
constexpr std::array states{UplinkState::up, UplinkState::down, UplinkState::draining};

struct RequestPrinter {
    // A word of its own for what goes back: a daemon that does not know it must not just apply it.
    json operator()(const ApplyRequest& request) const {
        json document{{"command", request.only_plan ? "plan" : "up"},
                      {"file", request.file},
                      {"text", request.text}};
        if (request.confirm != 0) {
            document["command"] = "try";
            document["seconds"] = request.confirm;
        }
        return document;
    }
    json operator()(const ConfirmRequest&) const { return {{"command", "confirm"}}; }
    json operator()(const RemoveRequest&) const { return {{"command", "down"}}; }
    json operator()(const StatusRequest&) const { return {{"command", "status"}}; }
    json operator()(const UplinkRequest& request) const {
        const auto* order = std::ranges::find(
            orders, request.order, &std::pair<std::string_view, UplinkRequest::Order>::second);
        return {{"command", "uplink"},
                {"uplink", request.uplink},
                {"order", order->first},
                {"weight", request.weight}};
    }
};

UplinkRequest uplink_request(const json& document) {
    const std::string word = document.at("order");
    const auto* order =
        std::ranges::find(orders, word, &std::pair<std::string_view, UplinkRequest::Order>::first);
    if (order == orders.end()) {
        throw std::invalid_argument("no such order: " + word);
    }
    const auto weight = document.at("weight").get<int64_t>();
    if (order->second == UplinkRequest::Order::weight && (weight < 1 || weight > 1000)) {
        throw std::invalid_argument(fmt::format("no such weight: {}", weight));
    }
    return {document.at("uplink"), order->second, static_cast<uint32_t>(weight)};
}

json to_json(const std::optional<microseconds>& duration) {
    return duration ? json(duration->count()) : json(nullptr);
}
std::optional<microseconds> duration_from(const json& value) {
    return value.is_null() ? std::nullopt : std::optional(microseconds(value.get<int64_t>()));
}

json to_json(const std::optional<Judgement>& judgement) {
    if (!judgement) {
        return nullptr;
    }
    return {{"verdict", judgement->verdict},
            {"reason", judgement->reason},
            {"latency_us", to_json(judgement->latency)},
            {"jitter_us", to_json(judgement->jitter)},
            {"loss", judgement->loss ? json(*judgement->loss) : json(nullptr)}};
}
std::optional<Judgement> judgement_from(const json& value) {
    if (value.is_null()) {
        return std::nullopt;
    }
    const auto verdict = value.at("verdict").get<int64_t>();
    if (verdict < 0 || verdict > static_cast<int64_t>(Verdict::bad)) {
        throw std::invalid_argument(fmt::format("no such verdict: {}", verdict));
    }
    const json& loss = value.at("loss");
    return Judgement{.verdict = static_cast<Verdict>(verdict),
                     .reason = value.at("reason"),
                     .latency = duration_from(value.at("latency_us")),
                     .jitter = duration_from(value.at("jitter_us")),
                     .loss = loss.is_null() ? std::nullopt : std::optional(loss.get<double>())};
}

json to_json(const WatchedUplink& uplink) {
    return {{"name", uplink.name},
            {"state", uplink_state_name(uplink.state)},
            {"reason", uplink.reason},
            {"ipv4", to_json(uplink.health[0])},
            {"ipv6", to_json(uplink.health[1])}};
}
WatchedUplink watched_from(const json& value) {
    const std::string state = value.at("state");
    const auto* found = std::ranges::find(states, state, uplink_state_name);
    if (found == states.end()) {
        throw std::invalid_argument("no such state: " + state);
    }
    return {.name = value.at("name"),
            .state = *found,
            .reason = value.at("reason"),
            .health = {judgement_from(value.at("ipv4")), judgement_from(value.at("ipv6"))}};
}

uint32_t trial_of(const json& document) {
    const auto seconds = document.at("seconds").get<int64_t>();
    if (seconds < 1 || seconds > longest_trial) {
        throw std::invalid_argument(fmt::format("no such time to confirm: {}", seconds));
    }
    return static_cast<uint32_t>(seconds);
}

Request request_from(const json& document) {
    const std::string command = document.at("command");
    if (command == "up" || command == "plan") {
        return ApplyRequest{document.at("file"), document.at("text"), command == "plan"};
    }
    if (command == "try") {
        return ApplyRequest{document.at("file"), document.at("text"), false, trial_of(document)};
    }
    if (command == "confirm") {
        return ConfirmRequest{};
    }
    if (command == "down") {
        return RemoveRequest{};
    }
    if (command == "status") {
        return StatusRequest{};
    }
    if (command == "uplink") {
        return uplink_request(document);
    }
    throw std::invalid_argument("no such command: " + command);
}

Answer answer_from(const json& document) {
    Answer answer{.exit = document.at("exit"),
                  .output = document.at("output"),
                  .errors = document.at("errors"),
                  .actions = document.at("actions"),
                  .uplinks = {}};
    for (const json& uplink : document.at("uplinks")) {
        answer.uplinks.push_back(watched_from(uplink));
    }
    return answer;
}

// Texts of others may hold bytes that are no UTF-8.
std::string print(const json& document) {
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

template <typename T, typename Convert>
Result<T> parse(const std::string& text, Convert convert) {
    try {
        return convert(json::parse(text));
    } catch (const std::exception& error) {
        return fail("not understood: {}", error.what());
    }
}

} // namespace

std::string up_summary(size_t uplinks, size_t changes) {
    return changes == 0 ? "nothing to do"
                        : fmt::format("up: {} uplinks, {} changes", uplinks, changes);
}

std::string trial_summary(uint32_t seconds) {
    return fmt::format("in {} s it goes back to what was there before, unless `linkbal confirm` is "
                       "run: try that in a new session",
                       seconds);
}

void order(UplinkCondition& condition, const UplinkRequest& request) {
    switch (request.order) {
    case UplinkRequest::Order::drain:
        condition.drained = true;
        break;
    case UplinkRequest::Order::resume:
        condition.drained = false;
        condition.weight = 0;
        break;
    case UplinkRequest::Order::weight:
        condition.weight = request.weight;
        break;
    }
}

std::string print_request(const Request& request) {
    return print(std::visit(RequestPrinter{}, request));
}

Result<Request> parse_request(const std::string& text) {
    return parse<Request>(text, request_from);
}

std::string print_answer(const Answer& answer) {
    auto uplinks = json::array();
    for (const WatchedUplink& uplink : answer.uplinks) {
        uplinks.push_back(to_json(uplink));
    }
    return print({{"exit", answer.exit},
                  {"output", answer.output},
                  {"errors", answer.errors},
                  {"actions", answer.actions},
                  {"uplinks", uplinks}});
}

Result<Answer> parse_answer(const std::string& text) { return parse<Answer>(text, answer_from); }

} // namespace linkbal

// SPDX-License-Identifier: GPL-2.0-or-later
// What commands and a running daemon say to each other: one request and one answer a connection, as
// JSON, each ended by the end of the stream.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/conditions.h"
#include "core/link_health.h"
#include "core/status.h"
#include "util/result.h"

namespace linkbal {

// `linkbal up` and `linkbal plan`: the text of the configuration, since the daemon may not see the
// caller's files.
struct ApplyRequest {
    std::string file; // for messages
    std::string text;
    bool only_plan = false; // tells what it would do, and does not
    uint32_t confirm = 0;   // seconds until it goes back unless it is confirmed; 0: it stays
    bool operator==(const ApplyRequest&) const = default;
};
struct RemoveRequest { // `linkbal down`: the daemon ends with it
    bool operator==(const RemoveRequest&) const = default;
};
struct ConfirmRequest { // `linkbal confirm`
    bool operator==(const ConfirmRequest&) const = default;
};
struct StatusRequest {
    bool operator==(const StatusRequest&) const = default;
};
// `linkbal uplink NAME ...`
struct UplinkRequest {
    std::string uplink;
    enum class Order : uint8_t { drain, resume, weight } order = Order::resume;
    uint32_t weight = 0; // of Order::weight, 1 to 1000
    bool operator==(const UplinkRequest&) const = default;
};
// What it asks for, as an input of the next decision.
void order(UplinkCondition& condition, const UplinkRequest& request);

using Request =
    std::variant<ApplyRequest, RemoveRequest, ConfirmRequest, StatusRequest, UplinkRequest>;

// What the daemon knows of an uplink that nobody else can read.
struct WatchedUplink {
    std::string name;
    UplinkState state = UplinkState::down;
    std::string reason;
    std::array<std::optional<Judgement>, 2> health; // by Family
    bool operator==(const WatchedUplink&) const = default;
};

struct Answer {
    int exit = 0;                      // exit status for the command
    std::vector<std::string> output{}; // lines for standard output
    std::vector<std::string> errors{}; // lines for standard error
    // Actions, done or only planned, in the notation of `plan`: lines of each.
    std::vector<std::vector<std::string>> actions{};
    std::vector<WatchedUplink> uplinks{};
    bool operator==(const Answer&) const = default;
};

// How long a change may wait to be confirmed.
inline constexpr uint32_t longest_trial = 3600; // seconds

// What `linkbal up` says in the end, whoever has done it.
std::string up_summary(size_t uplinks, size_t changes);
// And `linkbal up --confirm`, while it waits.
std::string trial_summary(uint32_t seconds);

std::string print_request(const Request& request);
Result<Request> parse_request(const std::string& text);
std::string print_answer(const Answer& answer);
Result<Answer> parse_answer(const std::string& text);

} // namespace linkbal

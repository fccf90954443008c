// SPDX-License-Identifier: GPL-2.0-or-later
// What commands and a daemon say to each other: what is printed is read back, nothing else is.
#include "core/control.h"

#include "support/catch.h"

using namespace linkbal;
using Order = UplinkRequest::Order;

namespace {

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    REQUIRE(text.find(what) != std::string::npos);
    return text.replace(text.find(what), what.size(), by);
}

std::string request_error(const std::string& text) {
    const auto request = parse_request(text);
    return request ? "" : request.error().message;
}
std::string answer_error(const std::string& text) {
    const auto answer = parse_answer(text);
    return answer ? "" : answer.error().message;
}

WatchedUplink watched(UplinkState state) {
    const Judgement judged{.verdict = Verdict::bad,
                           .reason = "no answer from 192.0.2.1 for 2 s",
                           .latency = std::chrono::microseconds(1500),
                           .jitter = std::chrono::microseconds(0),
                           .loss = 0.25};
    const Judgement plain{.verdict = Verdict::good,
                          .reason = "",
                          .latency = std::nullopt,
                          .jitter = std::nullopt,
                          .loss = std::nullopt};
    return {.name = "velox1", .state = state, .reason = "a reason", .health = {judged, plain}};
}

Answer full_answer() {
    return {.exit = 2,
            .output = {"up: 2 uplinks, 3 changes"},
            .errors = {"linkbal: one", "linkbal: two"},
            .actions = {{"ip -4 rule add pref 10000"}},
            .uplinks = {watched(UplinkState::up), watched(UplinkState::down),
                        watched(UplinkState::draining), WatchedUplink{}}};
}

} // namespace

TEST_CASE("every request is read back as it was") {
    const std::vector<Request> all{
        ApplyRequest{"/etc/linkbal.toml", "[lan]\ninterfaces = [\"eth0\"]\n\t\"\\\"# ü\n"},
        ApplyRequest{},
        ApplyRequest{"f", "text", true},
        ApplyRequest{"f", "text", false, 1},
        ApplyRequest{"f", "text", false, 3600},
        ConfirmRequest{},
        RemoveRequest{},
        StatusRequest{},
        UplinkRequest{"velox1", Order::drain, 0},
        UplinkRequest{"velox1", Order::resume, 0},
        UplinkRequest{"velox1", Order::weight, 1},
        UplinkRequest{"velox1", Order::weight, 1000}};
    for (const Request& request : all) {
        INFO(print_request(request));
        const auto read = parse_request(print_request(request));
        REQUIRE(read);
        CHECK(*read == request);
    }
}

TEST_CASE("every answer is read back as it was") {
    for (const Answer& answer : {Answer{}, full_answer()}) {
        INFO(print_answer(answer));
        const auto read = parse_answer(print_answer(answer));
        REQUIRE(read);
        CHECK(*read == answer);
    }
}

TEST_CASE("bytes that are no UTF-8 are replaced, and nothing else is lost") {
    const std::string bytes = "a\xff\xfe\xc3(b";
    const auto request = parse_request(print_request(ApplyRequest{"f", bytes}));
    REQUIRE(request);
    const auto& text = std::get<ApplyRequest>(*request).text;
    CHECK(text.front() == 'a');
    CHECK(text.find("\xef\xbf\xbd") == 1);
    CHECK(text.find("(b") == text.size() - 2);
    Answer answer = full_answer();
    answer.errors = {bytes};
    answer.uplinks[0].reason = bytes;
    const auto read = parse_answer(print_answer(answer));
    REQUIRE(read);
    CHECK(read->errors.front() == text);
    CHECK(read->uplinks[0].reason == text);
    CHECK(read->actions == answer.actions);
    CHECK(!parse_request("{\"command\":\"\xff\"}")); // from somebody else
}

TEST_CASE("requests that nobody prints are refused") {
    const std::string order = print_request(UplinkRequest{"velox1", Order::weight, 7});
    CHECK(request_error(R"({"command":"dance"})") == "not understood: no such command: dance");
    CHECK(request_error(replaced(order, R"("weight","upl)", R"("halt","upl)")) ==
          "not understood: no such order: halt");
    for (const char* weight : {"0", "-1", "1001", "4294967297"}) {
        CHECK(request_error(replaced(order, ":7", fmt::format(":{}", weight))) ==
              fmt::format("not understood: no such weight: {}", weight));
    }
    // A daemon that does not know the word refuses, and does not just apply.
    const std::string trial = print_request(ApplyRequest{"f", "text", false, 7});
    CHECK(trial.find(R"("command":"try")") != std::string::npos);
    for (const char* seconds : {"0", "-1", "3601", "4294967297"}) {
        CHECK(request_error(replaced(trial, ":7", fmt::format(":{}", seconds))) ==
              fmt::format("not understood: no such time to confirm: {}", seconds));
    }
    for (const char* text :
         {"", "null", "[]", "7", "{}", R"({"command":7})", R"({"command":"up"})",
          R"({"command":"uplink","uplink":"velox1"})", "{\"command\":\"down\"}}"}) {
        INFO(text);
        CHECK(request_error(text).find("not understood: ") == 0);
    }
}

TEST_CASE("answers that nobody prints are refused") {
    const std::string text = print_answer(full_answer());
    CHECK(answer_error(replaced(text, R"("state":"up")", R"("state":"odd")")) ==
          "not understood: no such state: odd");
    CHECK(answer_error(replaced(text, R"("verdict":2)", R"("verdict":3)")) ==
          "not understood: no such verdict: 3");
    CHECK(!answer_error(replaced(text, R"("exit":2)", R"("exit":"two")")).empty());
    CHECK(!answer_error(replaced(text, R"("output")", R"("input")")).empty());
}

// The daemon or the command was killed while it wrote.
TEST_CASE("truncated texts are refused, wherever they end") {
    const std::string request = print_request(UplinkRequest{"velox1", Order::weight, 7});
    for (size_t size = 0; size < request.size(); ++size) {
        CHECK(!parse_request(request.substr(0, size)));
    }
    const std::string answer = print_answer(full_answer());
    for (size_t size = 0; size < answer.size(); ++size) {
        CHECK(!parse_answer(answer.substr(0, size)));
    }
}

TEST_CASE("orders become conditions of the next decision") {
    UplinkCondition condition;
    condition.good = {true, false};
    order(condition, {"velox1", Order::weight, 7});
    CHECK(condition.weight == 7U);
    CHECK(!condition.drained);
    order(condition, {"velox1", Order::drain, 0});
    CHECK(condition.drained == true);
    CHECK(condition.weight == 7U);
    order(condition, {"velox1", Order::resume, 0});
    CHECK(condition.drained == false);
    CHECK(condition.weight == 0U); // the configured one again
    CHECK(condition.good == std::array{true, false});
}

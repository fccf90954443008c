// SPDX-License-Identifier: GPL-2.0-or-later
// The flow cache, read and ended from here while programs could write to it.
#include "kernel/flow_table.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include <bpf/bpf.h>

#include "support/catch.h"

#include "flow_cache.h"
#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/flow_ends.h"
#include "program.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

template <typename Table = FlowTable>
Table open_table(const FlowCache& cache) {
    auto table = Table::open(cache.directory());
    INFO((table ? "" : table.error().message));
    REQUIRE(table);
    REQUIRE(*table);
    return **std::move(table);
}

// Of this process, in kB.
size_t resident() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        if (word == "VmRSS:") {
            size_t kilobytes = 0;
            status >> kilobytes;
            return kilobytes;
        }
    }
    return 0;
}

lb_flow a_flow(uint32_t end) {
    lb_flow flow{};
    flow.lease = {end, 1, 0};
    flow.packets = 10;
    flow.version.generation = 6;
    flow.bytes = 15140;
    flow.ingress = 3;
    flow.uplink = 2;
    return flow;
}

const std::array tuples{tuple_of("192.0.2.9", 4000, "198.51.100.7", 443),
                        tuple_of("2001:db8:2::9", 4000, "2001:db8:9::9", 443, 17)};

} // namespace

TEST_CASE("a flow is found wherever it is in its bucket, and no other one is") {
    LINKBAL_OWN_NAMESPACE();
    FlowCache cache;
    const FlowTable table = open_table(cache);
    const uint32_t now = table.tick().value();
    for (const FlowTuple& tuple : tuples) {
        for (const uint32_t way : {0U, 1U, 7U}) {
            CHECK_FALSE(table.find(tuple));
            cache.put(tuple, a_flow(now + 100), way);
            const auto found = table.find(tuple);
            REQUIRE(found);
            CHECK(found->packets == 10);
            CHECK(found->bytes == 15140);
            CHECK(found->ingress == 3);
            CHECK(found->uplink == 2);
            CHECK(found->lease.end == now + 100);
            FlowTuple other = tuple;
            std::swap(other.source_port, other.destination_port);
            CHECK_FALSE(table.find(other));
            other = tuple;
            other.protocol = tuple.protocol == 6 ? 17 : 6;
            CHECK_FALSE(table.find(other));
            cache.clear(tuple, way);
        }
    }
}

TEST_CASE("what is being written is not believed") {
    LINKBAL_OWN_NAMESPACE();
    FlowCache cache;
    const FlowTable table = open_table(cache);
    lb_flow flow = a_flow(1);
    flow.version.generation = 7;
    cache.put(tuples[0], flow);
    CHECK_FALSE(table.find(tuples[0]));
}

TEST_CASE("an entry that is rewritten all the time is read whole or not at all") {
    LINKBAL_OWN_NAMESPACE();
    FlowCache cache;
    const FlowTable table = open_table(cache);
    cache.put(tuples[0], a_flow(1));
    auto window = MapWindow::create(open_pin(cache.directory() + "/flows_ipv4").value(),
                                    FlowCache::buckets * LB_WAYS, sizeof(lb_flow4));
    REQUIRE(window);
    uint64_t* words = window->at(cache.place(tuples[0], 0), 1).value();
    std::atomic<bool> stop = false;
    std::thread writer([&] {
        // The generation is in the uppermost bytes of its word.
        constexpr auto one = uint64_t{1} << 48;
        for (uint64_t i = 1; !stop; ++i) {
            std::atomic_ref(words[4]).fetch_add(one);
            std::atomic_ref(words[0]).store(i);
            std::atomic_ref(words[2]).store(i);
            std::atomic_ref(words[4]).fetch_add(one);
        }
    });
    size_t read = 0;
    size_t torn = 0;
    const auto begin = std::chrono::steady_clock::now();
    const auto passed = [&] { return std::chrono::steady_clock::now() - begin; };
    while (passed() < 300ms || (read < 1000 && passed() < 20s)) {
        if (const auto found = table.find(tuples[0])) {
            uint64_t lease = 0;
            std::memcpy(&lease, &found->lease, sizeof(lease));
            torn += lease != found->bytes && found->bytes != a_flow(1).bytes ? 1 : 0;
            ++read;
        }
    }
    stop = true;
    writer.join();
    CHECK(read >= 1000);
    CHECK(torn == 0);
}

TEST_CASE("ending a flow ends all entries of it and nothing else") {
    LINKBAL_OWN_NAMESPACE();
    FlowCache cache;
    const uint32_t now = open_table(cache).tick().value();
    auto ends = open_table<FlowEnds>(cache);
    for (const FlowTuple& tuple : tuples) {
        FlowTuple neighbour = tuple; // in the same bucket, by hand
        neighbour.source_port = 4001;
        cache.put(tuple, a_flow(now + 100), 2);
        cache.put(tuple, a_flow(now + 100), 5);
        cache.put(neighbour, a_flow(now + 100));
        CHECK(ends.end_flow(tuple).value() == 2);
        for (const uint32_t way : {2U, 5U}) {
            const lb_flow ended = cache.get(tuple, way);
            CHECK(ended.lease.end + ended.lease.renew + ended.lease.epoch == 0);
            CHECK(ended.packets == a_flow(0).packets);
        }
        CHECK(cache.is_alive(neighbour));
        CHECK(ends.end_flow(tuple_of("192.0.2.9", 1, "192.0.2.10", 1)).value() == 0);
    }
}

TEST_CASE("flows are counted whose lease has not run out") {
    LINKBAL_OWN_NAMESPACE();
    FlowCache cache;
    const FlowTable table = open_table(cache);
    const uint32_t now = 0xfffffff0; // ticks wrap
    CHECK(table.count_flows(now) == 0);
    for (uint16_t port = 1; port <= 20; ++port) {
        // Those with the same place are written over each other: each has its own way to be seen.
        const auto tuple = tuple_of("192.0.2.9", port, "198.51.100.7", 443);
        cache.put(tuple, a_flow(now + 100));
    }
    const size_t running = table.count_flows(now);
    CHECK(running > 10);
    CHECK(table.count_flows(now + 99) == running);
    CHECK(table.count_flows(now + 100) == 0); // the tick in which it ends
    CHECK(table.count_flows(now + 70000) == 0);
    cache.put(tuples[1], a_flow(now + 1));
    CHECK(table.count_flows(now) == running + 1);
}

TEST_CASE("the ticks are the programs': they advance as jiffies do") {
    LINKBAL_OWN_NAMESPACE();
    const auto clock = TickClock::create(0);
    REQUIRE(clock);
    const uint32_t begin = clock->now().value();
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(500ms);
    const uint32_t ticks = clock->now().value() - begin;
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const double rate = ticks / time.count(); // CONFIG_HZ is 100, 250, 300 or 1000
    INFO(rate);
    CHECK((std::abs(rate - 100) < 10 || std::abs(rate - 250) < 25 || std::abs(rate - 300) < 25 ||
           std::abs(rate - 1000) < 50));
    // What is shifted is 64 bits wide, begin is not.
    const uint32_t shifted = TickClock::create(4)->now().value() - (begin >> 4);
    CHECK((shifted & 0x0fffffff) <= ticks / 16 + 4);
}

TEST_CASE("a window shows any values of an array, and holds few of its pages") {
    LINKBAL_OWN_NAMESPACE();
    constexpr uint32_t entries = 1U << 18;
    constexpr size_t size = 96; // some lie across two pages
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.map_flags = BPF_F_MMAPABLE;
    const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "window", 4, size, entries, &options);
    REQUIRE(map >= 0);
    const size_t before = resident();
    auto window = MapWindow::create(Fd(map), entries, size); // closes it
    REQUIRE(window);
    for (const uint32_t first : {0U, 40U, 42U, 85U, 1000U, entries - 2}) {
        uint64_t* words = window->at(first, 2).value();
        std::atomic_ref(words[0]).store(first + 1);
        std::atomic_ref(words[2 * size / 8 - 1]).store(first + 2);
        std::array<uint64_t, size / 8> value{};
        REQUIRE(bpf_map_lookup_elem(map, &first, value.data()) == 0);
        CHECK(value.front() == first + 1);
        const uint32_t second = first + 1;
        REQUIRE(bpf_map_lookup_elem(map, &second, value.data()) == 0);
        CHECK(value.back() == first + 2);
    }
    CHECK(resident() - before < 4096);
}

TEST_CASE("epochs end one by one or all together") {
    LINKBAL_OWN_NAMESPACE();
    FlowCache cache;
    auto ends = open_table<FlowEnds>(cache);
    REQUIRE(ends.end_epoch(2));
    CHECK(cache.epoch(1) == 0);
    CHECK(cache.epoch(2) == 1);
    REQUIRE(ends.end_epochs());
    CHECK(cache.epoch(1) == 1);
    CHECK(cache.epoch(2) == 2);
    CHECK(cache.epoch(255) == 1);
    CHECK(open_table(cache).epochs().value()[2] == 2);
}

TEST_CASE("without a fast path or a datapath there is no table") {
    LINKBAL_OWN_NAMESPACE();
    const FlowCache cache(false);
    for (const auto& where : {cache.directory(), cache.directory() + "-not"}) {
        CHECK_FALSE(FlowTable::open(where).value());
        CHECK_FALSE(FlowEnds::open(where).value());
    }
}

TEST_CASE("a table that is smaller than the settings say is refused") {
    LINKBAL_OWN_NAMESPACE();
    const FlowCache cache;
    const auto open = [&] { return open_pin(cache.directory() + "/flows_ipv4").value(); };
    const size_t places = FlowCache::buckets * LB_WAYS;
    struct Row {
        size_t entries, value_size;
        bool good;
    };
    for (const Row row :
         {Row{places, sizeof(lb_flow4), true}, Row{places + 1, sizeof(lb_flow4), false},
          Row{places / 2, sizeof(lb_flow6), false}}) {
        CHECK(MappedMap::create(open(), row.entries, row.value_size).has_value() == row.good);
        CHECK(MapWindow::create(open(), row.entries, row.value_size).has_value() == row.good);
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <functional>
#include <iterator>

#include "cli/report.h"
#include "kernel/open_connections.h"

namespace linkbal {

namespace {

std::string uplink_text(const OpenConnection& connection, const OpenConnections& open) {
    const auto name = open.uplinks.find(connection.uplink);
    return name != open.uplinks.end() ? name->second : fmt::format("{}", connection.uplink);
}

void write(const std::string& text) { (void)std::fwrite(text.data(), 1, text.size(), stdout); }

void print_for_programs(const OpenConnections& open) {
    std::string text = "[";
    const char* separator = "\n  ";
    for (const OpenConnection& connection : open.connections) {
        text += separator;
        text += json_text(connection, uplink_text(connection, open));
        separator = ",\n  ";
    }
    write(text + (open.connections.empty() ? "]\n" : "\n]\n"));
}

// "12.3 MB"
std::string size_text(uint64_t bytes) {
    constexpr std::array units{"B", "kB", "MB", "GB", "TB"};
    auto size = static_cast<double>(bytes);
    size_t unit = 0;
    while (size >= 1000 && unit + 1 < units.size()) {
        size /= 1000;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", size, unit == 0 ? 0 : 1, units.at(unit));
}

struct Row {
    std::string source, destination, uplink, nat_source;
};

Row row_of(const OpenConnection& connection, const OpenConnections& open) {
    const FlowTuple& opener = connection.opener;
    return {endpoint_text(opener.source, opener.source_port, opener.protocol),
            endpoint_text(opener.destination, opener.destination_port, opener.protocol),
            uplink_text(connection, open),
            endpoint_text(connection.nat_source, connection.nat_port, opener.protocol)};
}

// Room for an IPv4 address and its port. Where addresses are longer, their columns get as wide as the
// widest of them.
struct Widths {
    size_t source = 21, destination = 21, nat_source = 21;
    void fit(const Row& row) {
        source = std::max(source, row.source.size());
        destination = std::max(destination, row.destination.size());
        nat_source = std::max(nat_source, row.nat_source.size());
    }
};

// Whoever moves the most comes first.
void print_for_people(OpenConnections& open) {
    std::ranges::stable_sort(open.connections, std::ranges::greater{}, &OpenConnection::bytes);
    Widths widths;
    for (const OpenConnection& connection : open.connections) {
        widths.fit(row_of(connection, open));
    }
    std::string text;
    const auto add = [&](std::string_view protocol, const Row& row, std::string_view path,
                         std::string_view bytes, std::string_view packets, std::string_view state) {
        fmt::format_to(std::back_inserter(text),
                       "{:<7} {:<{}} {:<{}} {:<15} {:<{}} {:<4} {:>9} {:>12}  {}\n", protocol,
                       row.source, widths.source, row.destination, widths.destination, row.uplink,
                       row.nat_source, widths.nat_source, path, bytes, packets, state);
    };
    add("proto", {"source", "destination", "uplink", "seen as"}, "path", "bytes", "packets",
        "state");
    for (const OpenConnection& connection : open.connections) {
        add(protocol_text(connection.opener.protocol), row_of(connection, open),
            connection.offloaded ? "fast" : "-", size_text(connection.bytes),
            fmt::format("{}", connection.packets), connection.state);
    }
    write(text);
}

} // namespace

void add_flows_options(CLI::App& app, Options& options) {
    add_json_option(app, options);
    app.add_option("--uplink", options.uplink, "only connections of this uplink");
}

int run_flows(const Options& options) {
    if (!is_allowed("linkbal flows")) {
        return exit_failed;
    }
    auto open = read_open_connections(
        options.instance, options.uplink.empty() ? std::nullopt : std::optional(options.uplink));
    if (!open) {
        report(open.error());
        return exit_failed;
    }
    options.json ? print_for_programs(*open) : print_for_people(*open);
    return exit_done;
}

} // namespace linkbal
